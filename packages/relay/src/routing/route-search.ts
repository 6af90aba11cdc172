import { TunnelError } from '@burrow/tunnel';
import type { Peers } from '../peers/index.ts';
import { abortable } from './abortable.ts';
import { REGISTRY_LIMITS } from './limits.ts';
import type { MemoryRouting } from './memory.ts';
import { reachOne } from './reach-one.ts';
import type { AgentRoute, Registry } from './registry.ts';
import type { RouteCache } from './route-cache.ts';
import type { Shunned } from './shunned.ts';

export interface SearchDeps {
  readonly local: Pick<MemoryRouting, 'waitFor'>;
  readonly registry: Pick<Registry, 'find'>;
  readonly peers: Pick<Peers, 'link'>;
  readonly cache: RouteCache;
  readonly shunned: Shunned;
  readonly pollMs: number;
  /** There is a link that can be used now, here or to another relay. */
  readonly usable: (agentId: string) => boolean;
  /** The relay did not just say the contrary. */
  readonly mayHave: (agentId: string, route: AgentRoute) => boolean;
}

/** Looks for one agent on behalf of all who wait for it, as long as there is somebody. */
export class RouteSearch {
  readonly #agentId: string;
  readonly #deps: SearchDeps;
  readonly #onEnd: () => void;
  readonly #abort = new AbortController();
  readonly #result = Promise.withResolvers<void>();
  #waiters = 0;
  #hurry = Promise.withResolvers<void>();
  #failingSince: number | undefined;

  /** `onEnd`: a later caller needs a search of its own. */
  constructor(agentId: string, deps: SearchDeps, onEnd: () => void) {
    this.#agentId = agentId;
    this.#deps = deps;
    this.#onEnd = onEnd;
    // Everybody may have left by then.
    this.#result.promise.catch(() => {});
    void this.#run();
  }

  /** Resolves once the agent can be reached; rejects with TunnelError `unavailable`, or the signal's reason. */
  async wait(signal: AbortSignal): Promise<void> {
    this.#waiters += 1;
    try {
      await abortable(this.#result.promise, signal);
    } finally {
      this.#waiters -= 1;
      if (this.#waiters === 0) this.stop(new TunnelError('cancelled', 'Nobody waits any more.'));
    }
  }

  /** Something was said about the agent: look now. */
  hurry(): void {
    this.#hurry.resolve();
  }

  stop(reason: TunnelError): void {
    if (this.#abort.signal.aborted) return;
    this.#onEnd();
    this.#result.reject(reason);
    this.#abort.abort(reason);
  }

  #found(): void {
    if (this.#abort.signal.aborted) return;
    this.#onEnd();
    this.#result.resolve();
    this.#abort.abort(new TunnelError('cancelled', 'It was found.'));
  }

  async #run(): Promise<void> {
    const { signal } = this.#abort;
    const { local, pollMs, usable } = this.#deps;
    // An agent without a link here may get one at any time.
    local.waitFor(this.#agentId, signal).then(
      () => this.#found(),
      () => {},
    );
    while (!signal.aborted) {
      this.#hurry = Promise.withResolvers();
      try {
        const failure = await this.#look(signal);
        if (usable(this.#agentId)) return this.#found();
        if (failure !== undefined) return this.stop(failure);
      } catch (error) {
        if (!signal.aborted) this.stop(error as TunnelError);
        return;
      }
      // Spread: after an outage many wait.
      await this.#pause(pollMs * (0.75 + Math.random() / 2), signal);
    }
  }

  async #pause(ms: number, signal: AbortSignal): Promise<void> {
    const timer = setTimeout(() => this.#hurry.resolve(), ms);
    await abortable(this.#hurry.promise, signal).catch(() => {});
    clearTimeout(timer);
  }

  /** Returns the registry's failure once it has lasted too long for those who wait. */
  async #look(signal: AbortSignal): Promise<TunnelError | undefined> {
    const { cache, registry } = this.#deps;
    const known = cache.get(this.#agentId);
    if (known !== undefined && !known.stale && (await reachOne(known.routes, this.#deps, signal)))
      return;
    try {
      const routes = await registry.find(this.#agentId, signal);
      this.#failingSince = undefined;
      const here = routes.filter((route) => this.#deps.mayHave(this.#agentId, route));
      cache.set(this.#agentId, here);
      await reachOne(here, this.#deps, signal);
      return undefined;
    } catch (error) {
      if (signal.aborted || !(error instanceof TunnelError)) throw error;
      // Nobody can say whether it is still so: then it is worth a try.
      if (known !== undefined && (await reachOne(known.routes, this.#deps, signal))) {
        cache.set(this.#agentId, known.routes);
        return undefined;
      }
      const now = performance.now();
      this.#failingSince ??= now;
      return now - this.#failingSince >= REGISTRY_LIMITS.patienceMs ? error : undefined;
    }
  }
}
