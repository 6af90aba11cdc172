import { wrk, type WrkResult } from '../lib/wrk.ts';
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
    // There and back again: what else the machine does in the meantime falls on both.
    const turns = [one, two, two, one];
    const busy: WrkResult[] = [];
    for (const way of turns) busy.push(await wrk(way, 32, stand.seconds));
    const lone: WrkResult[] = [];
    for (const way of turns) lone.push(await wrk(way, 1, stand.seconds));
    const [busyOne, busyTwo] = sums(busy, ({ requestsPerSecond }) => requestsPerSecond);
    const [loneOne, loneTwo] = sums(lone, ({ p50 }) => p50);
    return {
      'two-relays-rps-c32': busyTwo / 2,
      'two-relays-rps-ratio': busyTwo / busyOne,
      'two-relays-p50-added': (loneTwo - loneOne) / 2,
    };
  },
};

/** Of four results in the order one, two, two, one. */
function sums(results: readonly WrkResult[], of: (result: WrkResult) => number): [number, number] {
  const [a = 0, b = 0, c = 0, d = 0] = results.map(of);
  return [a + d, b + c];
}
