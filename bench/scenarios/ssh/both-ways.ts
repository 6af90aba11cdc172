import type { Outcome, Scenario, Stand } from '../../scenario.ts';
import type { SshWay } from '../../systems/ssh-ways.ts';

/** Burrow's ways, as results name them: `ssh-gateway-download`, `ssh-e2e-download`. */
export const BURROW_WAYS = ['gateway', 'e2e'] as const;
export type BurrowWay = (typeof BURROW_WAYS)[number];

export function resultName(way: BurrowWay, what: string): string {
  return `ssh-${way}-${what}`;
}

/**
 * One measurement through the gateway, end to end, and with OpenSSH's own server
 * reached directly; the last once a round, to stand beside both. A way that
 * fails leaves the others in the table.
 */
export function bothWays(
  what: string,
  unit: string,
  measure: (stand: Stand, way: SshWay) => Promise<number>,
): Scenario {
  return {
    results: Object.fromEntries(BURROW_WAYS.map((way) => [resultName(way, what), unit])),
    systems: ['burrow', 'direct'],
    run: async (stand, system) => {
      const ways = await stand.sshWays();
      const measured: Record<string, Outcome> = {};
      const wanted = BURROW_WAYS.filter((way) => stand.wanted(resultName(way, what)));
      if (system === 'direct') {
        const value = await measure(stand, await ways.to('direct'));
        for (const way of wanted) measured[resultName(way, what)] = value;
        return measured;
      }
      for (const way of wanted) {
        measured[resultName(way, what)] = await ways
          .to(way)
          .then((to) => measure(stand, to))
          .catch((error: unknown) => error as Error);
      }
      return measured;
    },
  };
}
