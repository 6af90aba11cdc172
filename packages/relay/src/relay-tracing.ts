import type { Link } from '@burrow/tunnel';
import { viewOf } from '@burrow/tunnel/trace';
import type { Clients } from './clients/index.ts';
import type { RelayCluster } from './relay-cluster.ts';
import type { MemoryRouting } from './routing/memory.ts';
import type { ResumingRouter } from './routing/resuming.ts';
import type { OtherRelays, Tracing } from './trace/contracts.ts';
import type { Place, Places } from './trace/places.ts';
import { createTracing, type TracingOptions } from './trace/tracing.ts';

export interface RelayTracingDeps extends Pick<TracingOptions, 'agentOf' | 'workspacesOf'> {
  readonly self: { readonly relayId: string; readonly relayIncarnation: string };
  readonly local: MemoryRouting;
  readonly cluster: Pick<RelayCluster, 'peers' | 'registry'> | undefined;
  /** Made later than this. */
  readonly clients: () => Pick<Clients, 'ends'>;
  readonly resuming: () => Pick<ResumingRouter, 'detached'>;
}

/** Part of the composition root: where the links of this relay lead, and whom else to ask. */
export function composeTracing(deps: RelayTracingDeps): Tracing {
  const { self, local, cluster } = deps;
  return createTracing({
    ...deps,
    self: self.relayId,
    places: placesOf(deps, local),
    others: cluster && others(cluster, self.relayIncarnation),
  });
}

function placesOf({ cluster, clients, resuming }: RelayTracingDeps, local: MemoryRouting): Places {
  return {
    *links(): Iterable<readonly [Link, Place]> {
      for (const [link, agentId] of local.ends()) yield [link, { kind: 'agent', agentId }];
      for (const [link, kind] of clients().ends()) yield [link, { kind }];
      for (const [link, id] of cluster?.peers.ends() ?? []) yield [link, { kind: 'relay', id }];
    },
    *detached() {
      for (const [channel, agentId] of resuming().detached()) yield [viewOf(channel), agentId];
    },
  };
}

function others(
  { peers, registry }: Pick<RelayCluster, 'peers' | 'registry'>,
  incarnation: string,
): OtherRelays {
  return {
    relays: async () =>
      (await registry.relays()).filter((relay) => relay.incarnation !== incarnation),
    channels: peers.channels,
    trace: peers.trace,
  };
}
