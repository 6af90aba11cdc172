import { Counter, Gauge, type Registry as PromRegistry } from 'prom-client';
import type { PeersObserver } from '../peers/index.ts';
import type { Registry } from '../routing/registry.ts';

/** Where numbers come from that are read only when somebody asks. */
export interface ClusterSources {
  readonly registry: Pick<Registry, 'counts' | 'healthy' | 'size'>;
  /** Agents whose relay is known. */
  readonly cachedRoutes: () => number;
  readonly peerLinks: (direction: 'in' | 'out') => number;
}

/** Metrics of a member of a cluster. A relay that stands alone has none of them. */
export function clusterMetrics(register: PromRegistry, sources: ClusterSources): PeersObserver {
  const registers = [register];
  const { registry } = sources;
  const gauge = (name: string, help: string, read: () => number): void => {
    new Gauge({
      ...{ name, help, registers },
      collect() {
        this.set(read());
      },
    });
  };
  const total = (name: string, help: string, read: () => number): void => {
    new Counter({
      ...{ name, help, registers },
      collect() {
        this.reset();
        this.inc(read());
      },
    });
  };
  gauge('burrow_registry_healthy', '1 when Redis serves the registry of the cluster.', () =>
    Number(registry.healthy),
  );
  gauge(
    'burrow_registry_relays',
    'Live relays of the cluster as this one last saw them.',
    () => registry.size,
  );
  gauge('burrow_registry_cached_routes', 'Agents whose relay is known without asking.', () =>
    sources.cachedRoutes(),
  );
  total(
    'burrow_registry_lookups_total',
    'Lookups of agents in the registry.',
    () => registry.counts.lookups,
  );
  total(
    'burrow_registry_commands_total',
    'Commands sent to Redis.',
    () => registry.counts.commands,
  );
  total(
    'burrow_registry_errors_total',
    'Commands to Redis that failed.',
    () => registry.counts.errors,
  );

  new Gauge({
    name: 'burrow_peer_links',
    help: 'Links to other relays (out) and from them (in).',
    labelNames: ['direction'],
    registers,
    collect() {
      for (const direction of ['in', 'out'] as const) {
        this.set({ direction }, sources.peerLinks(direction));
      }
    },
  });
  const dials = new Counter({
    name: 'burrow_peer_dials_total',
    help: 'Dials of other relays, by outcome.',
    labelNames: ['outcome'],
    registers,
  });
  const refusals = new Counter({
    name: 'burrow_peer_refused_total',
    help: 'Links and requests of other relays that were refused, by reason.',
    labelNames: ['reason'],
    registers,
  });
  return {
    dialled: (outcome) => dials.inc({ outcome }),
    refused: (reason) => refusals.inc({ reason }),
  };
}
