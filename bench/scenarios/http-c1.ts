import { wrk } from '../lib/wrk.ts';
import type { Scenario } from '../scenario.ts';

/** Small requests, one after the other: what the way itself costs. */
export const httpC1: Scenario = {
  results: { 'http-rps-c1': 'requests/s', 'http-p50-c1': 'µs', 'http-p99-c1': 'µs' },
  warmUp: true,
  systems: ['burrow', 'direct', 'nginx', 'caddy', 'ssh-r'],
  run: async (stand, name) => {
    const system = await stand.system(name);
    const { requestsPerSecond, p50, p99 } = await wrk(system.endpoint('http'), 1, stand.seconds);
    return { 'http-rps-c1': requestsPerSecond, 'http-p50-c1': p50, 'http-p99-c1': p99 };
  },
};
