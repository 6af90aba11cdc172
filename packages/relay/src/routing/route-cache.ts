import { REGISTRY_LIMITS } from './limits.ts';
import type { AgentRoute, RelayInfo } from './registry.ts';

export interface CachedRoutes {
  readonly routes: readonly AgentRoute[];
  /** Something spoke against it: used only where nobody can be asked. */
  stale: boolean;
}

/** Where agents were found, least recently found first. */
export class RouteCache {
  readonly #agents = new Map<string, CachedRoutes>();
  /** incarnation → agents whose routes lead there */
  readonly #byRelay = new Map<string, Set<string>>();
  readonly #max: number;

  constructor(max = REGISTRY_LIMITS.cachedRoutes) {
    this.#max = max;
  }

  get size(): number {
    return this.#agents.size;
  }

  get(agentId: string): CachedRoutes | undefined {
    return this.#agents.get(agentId);
  }

  set(agentId: string, routes: readonly AgentRoute[]): void {
    this.delete(agentId);
    if (routes.length === 0) return;
    const [oldest] = this.#agents.keys();
    if (this.#agents.size >= this.#max && oldest !== undefined) this.delete(oldest);
    this.#agents.set(agentId, { routes, stale: false });
    for (const { relay } of routes) {
      const agents = this.#byRelay.get(relay.incarnation) ?? new Set();
      this.#byRelay.set(relay.incarnation, agents.add(agentId));
    }
  }

  delete(agentId: string): void {
    const known = this.#agents.get(agentId);
    if (known === undefined) return;
    this.#agents.delete(agentId);
    for (const { relay } of known.routes) {
      const agents = this.#byRelay.get(relay.incarnation);
      agents?.delete(agentId);
      if (agents?.size === 0) this.#byRelay.delete(relay.incarnation);
    }
  }

  /** One of the agent's relays does not have it any more; the others may. */
  without(agentId: string, incarnation: string): void {
    const known = this.#agents.get(agentId);
    if (known === undefined) return;
    const { stale } = known;
    this.set(
      agentId,
      known.routes.filter(({ relay }) => relay.incarnation !== incarnation),
    );
    const left = this.#agents.get(agentId);
    if (left !== undefined) left.stale = stale;
  }

  /** All that leads there is doubtful. */
  doubt(relay: RelayInfo): void {
    for (const agentId of this.#byRelay.get(relay.incarnation) ?? []) {
      const known = this.#agents.get(agentId);
      if (known !== undefined) known.stale = true;
    }
  }
}
