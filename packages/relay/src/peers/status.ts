import type { Cluster, ClusterRelay } from '@burrow/api';
import type { Registry, RelayInfo } from '../routing/registry.ts';
import type { Peers } from './contracts.ts';
import type { RelayStats } from './stats.ts';

export interface StatusDeps {
  readonly own: () => RelayStats;
  readonly registry: Pick<Registry, 'relays' | 'problem'>;
  readonly peers: Pick<Peers, 'stats'>;
  /** Bounds the whole, ms. */
  readonly withinMs: number;
}

/** All relays, each asked for itself at this moment. One that does not answer is listed with the reason. Never rejects. */
export async function clusterStatus({
  own,
  registry,
  peers,
  withinMs,
}: StatusDeps): Promise<Cluster> {
  const me = own();
  const signal = AbortSignal.timeout(withinMs);
  let others: readonly RelayInfo[] = [];
  let { problem } = registry;
  try {
    others = (await registry.relays()).filter((relay) => relay.incarnation !== me.incarnation);
  } catch (error) {
    problem = (error as Error).message;
  }
  const relays = await Promise.all(
    others.map(async (relay): Promise<ClusterRelay> => {
      const { id, incarnation, version } = relay;
      const known = { id, incarnation, version, self: false };
      try {
        return { ...known, stats: view(await peers.stats(relay, signal)), problem: null };
      } catch (error) {
        return { ...known, stats: null, problem: (error as Error).message };
      }
    }),
  );
  return {
    relays: [aloneOf(me), ...relays].sort((a, b) => (a.id < b.id ? -1 : 1)),
    problem: problem ?? null,
  };
}

/** The relay that answers, as one of its cluster. */
export function aloneOf(own: RelayStats): ClusterRelay {
  const { id, incarnation, version } = own;
  return { id, incarnation, version, self: true, stats: view(own), problem: null };
}

function view(stats: RelayStats): NonNullable<ClusterRelay['stats']> {
  const { url, uptimeSeconds, state, agents, links, channels, peerLinks, drain } = stats;
  return { url, uptimeSeconds, state, agents, links, channels, peerLinks, drain: drain ?? null };
}
