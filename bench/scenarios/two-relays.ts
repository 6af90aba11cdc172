import { wrk } from '../lib/wrk.ts';
import type { Scenario } from '../scenario.ts';

/**
 * What it costs that the agent is linked to another relay than the one that the user's request
 * reaches: the same small requests through the one relay, and through both.
 */
export const twoRelays: Scenario = {
  results: {
    'two-relays-rps-c32': 'requests/s',
    'two-relays-rps-ratio': 'x one relay',
    'two-relays-p50-added': 'µs',
  },
  warmUp: true,
  systems: ['burrow'],
  run: async (stand) => {
    const { home, edge } = await stand.twoRelays();
    const [one, two] = [home.endpoint('http'), edge.endpoint('http')];
    const busyOne = await wrk(one, 32, stand.seconds);
    const busyTwo = await wrk(two, 32, stand.seconds);
    const loneOne = await wrk(one, 1, stand.seconds);
    const loneTwo = await wrk(two, 1, stand.seconds);
    return {
      'two-relays-rps-c32': busyTwo.requestsPerSecond,
      'two-relays-rps-ratio': busyTwo.requestsPerSecond / busyOne.requestsPerSecond,
      'two-relays-p50-added': loneTwo.p50 - loneOne.p50,
    };
  },
};
