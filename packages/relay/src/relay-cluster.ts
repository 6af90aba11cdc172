import type { Cluster } from '@burrow/api';
import type { Link } from '@burrow/tunnel';
import type { Registry as PromRegistry } from 'prom-client';
import type { ClusterSettings } from './cluster/cluster-settings.ts';
import { connectRedis } from './cluster/redis-client.ts';
import type { Config } from './config/schema.ts';
import { RelayError } from './errors.ts';
import { createRebalance, type Rebalance } from './links/rebalance.ts';
import { clusterMetrics } from './observe/cluster-metrics.ts';
import type { RelayLogger } from './observe/logger.ts';
import {
  clusterStatus,
  createPeers,
  type Peers,
  type PeersOptions,
  type RelayStats,
} from './peers/index.ts';
import { clusterRouting, type ClusterRouting } from './routing/cluster.ts';
import type { MemoryRouting } from './routing/memory.ts';
import { redisRegistry } from './routing/redis-registry.ts';
import type { Registry } from './routing/registry.ts';

export interface RelayClusterDeps {
  readonly config: Config;
  readonly settings: ClusterSettings;
  readonly self: PeersOptions['self'];
  /** Links that end here. */
  readonly local: MemoryRouting;
  /** What this relay tells the others of itself, beside its peer links. */
  readonly stats: () => Omit<RelayStats, 'peerLinks'>;
  /** And of its channels. */
  readonly channels: NonNullable<PeersOptions['channels']>;
  readonly metrics: PromRegistry;
  readonly logger: RelayLogger['logger'];
}

export interface RelayCluster {
  readonly registry: Registry;
  readonly peers: Peers;
  readonly routing: ClusterRouting;
  readonly rebalance: Rebalance;
  /** All relays, each asked for itself now. Never rejects. */
  status(): Promise<Cluster>;
  /** Listens for the other relays, then says that this one is there. Redis may be away. */
  start(): Promise<void>;
}

/** An administrator waits for it. ms */
const STATUS_WITHIN_MS = 3_000;

/** Part of the composition root, loaded only where `cluster.redisUrl` is set: what makes a relay a member. */
export async function composeCluster(deps: RelayClusterDeps): Promise<RelayCluster> {
  const { config, settings, self, local, logger } = deps;
  const registry = redisRegistry({
    client: connectRedis(settings.redis),
    keyPrefix: settings.keyPrefix,
    leaseMs: settings.leaseMs,
    log: logger,
  });
  const count = (direction: 'in' | 'out'): number => lengthOf(peers.links(direction));
  const observer = clusterMetrics(deps.metrics, {
    registry,
    cachedRoutes: () => routing.cached,
    peerLinks: count,
  });
  const own = (): RelayStats => ({
    ...deps.stats(),
    peerLinks: { in: count('in'), out: count('out') },
  });
  let peers: Peers;
  try {
    peers = await createPeers({
      self,
      secrets: settings.secrets,
      listen: { ...config.cluster.peer, tls: tlsFiles(config) },
      choose: (agentId, traffic) => local.choose(agentId, traffic),
      stats: own,
      channels: deps.channels,
      clusterSize: () => registry.size,
      log: logger,
      observer,
    });
  } catch (error) {
    await registry.stop();
    throw error;
  }
  const routing = clusterRouting({
    ...{ local, registry, peers },
    maxWaiting: config.gateway.maxWaiting,
    leaseMs: settings.leaseMs,
  });
  const rebalance = createRebalance({
    links: () => local.links(),
    relays: async () => [
      self.incarnation,
      ...registry.lastSeen.map(({ incarnation }) => incarnation),
    ],
    spreadMs: config.cluster.rebalanceMs,
    log: logger,
  });
  return {
    ...{ registry, peers, routing, rebalance },
    status: () => clusterStatus({ own, registry, peers, withinMs: STATUS_WITHIN_MS }),
    async start() {
      const { url } = await peers.start();
      rebalance.start();
      await registry.start({ ...self, peerUrl: url });
      logger.info(
        { relay: self.id, incarnation: self.incarnation, peerUrl: url, relays: registry.size },
        registry.healthy ? 'member of the cluster' : 'starts without Redis; it is tried again',
      );
    },
  };
}

function tlsFiles(config: Config): NonNullable<PeersOptions['listen']['tls']> | undefined {
  const { certFile, keyFile, caFile } = config.cluster.peer.tls;
  if (certFile === undefined && keyFile === undefined && caFile === undefined) return undefined;
  if (certFile === undefined || keyFile === undefined || caFile === undefined) {
    throw new RelayError('config-invalid', 'cluster.peer.tls needs certFile, keyFile and caFile');
  }
  return { certFile, keyFile, caFile };
}

function lengthOf(links: Iterable<Link>): number {
  let length = 0;
  for (const _ of links) length += 1;
  return length;
}
