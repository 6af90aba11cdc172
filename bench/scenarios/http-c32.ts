import { wrk } from '../lib/wrk.ts';
import type { Scenario } from '../scenario.ts';

/** Small requests on 32 connections. */
export const httpC32: Scenario = {
  results: { 'http-rps-c32': 'requests/s' },
  warmUp: true,
  systems: ['burrow', 'direct', 'nginx', 'caddy', 'ssh-r'],
  run: async (stand, name) => {
    const system = await stand.system(name);
    const { requestsPerSecond } = await wrk(system.endpoint('http'), 32, stand.seconds);
    return { 'http-rps-c32': requestsPerSecond };
  },
};
