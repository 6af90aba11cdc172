import { setTimeout as sleep } from 'node:timers/promises';
import { TunnelError, type Link } from '@burrow/tunnel';
import { mayOpen } from '../auth/may-open.ts';
import type { Principal } from '../auth/principal.ts';
import type { WorkspaceDirectory, WorkspaceRoute } from '../control/directory.ts';
import type { LinkChooser } from '../routing/router.ts';
import { sidestep } from '../routing/sidestep.ts';
import type { ClientLimits } from './limits.ts';
import { noAgent, noSuchWorkspace, notRunning } from './sentences.ts';

export interface ReachDeps {
  readonly directory: WorkspaceDirectory;
  readonly router: LinkChooser;
  readonly limits: Pick<ClientLimits, 'refusalMs' | 'namedKeys'>;
  /** How long an agent that is known but not connected is waited for. */
  readonly waitForAgentMs: number;
  /** `SHA256:…` of the account's keys. */
  readonly keysOf: (person: Pick<Principal, 'userId'>) => Promise<readonly string[]>;
}

/** From a workspace's name to a link of its agent. All reject with TunnelError, whose sentence is for the client. */
export class Reach {
  readonly #deps: ReachDeps;

  constructor(deps: ReachDeps) {
    this.#deps = deps;
  }

  /** `person` undefined: it was decided elsewhere that they may. */
  async workspace(name: string, person: Principal | undefined): Promise<WorkspaceRoute> {
    const asked = performance.now();
    const route = await this.#deps.directory.find(name);
    if (route === undefined || (person !== undefined && !mayOpen(person, route))) {
      await sleep(Math.max(0, this.#deps.limits.refusalMs - (performance.now() - asked)));
      throw noSuchWorkspace(name);
    }
    const absent = notRunning(route);
    if (absent !== undefined) throw absent;
    return route;
  }

  /** Whether what was allowed still is, by the same name. Undefined: nobody can say at once. */
  async stillLeadsTo(route: WorkspaceRoute, person: Principal): Promise<boolean> {
    const now = await this.#deps.directory.find(route.name);
    return (
      now !== undefined &&
      now.id === route.id &&
      now.agentId === route.agentId &&
      mayOpen(person, now)
    );
  }

  /** The keys that the workload's own SSH server is to admit: what the client named and what is in the account. */
  async keys(person: Pick<Principal, 'userId'>, named: readonly string[]): Promise<string[]> {
    const { namedKeys } = this.#deps.limits;
    if (named.length > namedKeys) {
      throw new TunnelError('limit', `A connection may name at most ${namedKeys} keys of its own.`);
    }
    return [...new Set([...named, ...(await this.#deps.keysOf(person))])];
  }

  /** Resolves once the agent has a link that does not drain. */
  another(route: WorkspaceRoute, signal: AbortSignal): Promise<void> {
    const within = AbortSignal.timeout(this.#deps.waitForAgentMs);
    return this.#deps.router.waitFor(route.agentId, AbortSignal.any([signal, within]));
  }

  /** True: the agent has a link that answers, and `still` says that one is needed. Looks for as long as that is so. */
  around(route: WorkspaceRoute, still: () => boolean, signal: AbortSignal): Promise<boolean> {
    return sidestep(this.#deps.router, route.agentId, 'interactive', still, signal);
  }

  /** What went over the link was refused: it does not lead to the agent. */
  failed(route: WorkspaceRoute, link: Link, error: TunnelError): void {
    this.#deps.router.failed?.(route.agentId, link, error);
  }

  /** `reserve` takes a waiting place and may throw; it is asked only when there is something to wait for. */
  async link(route: WorkspaceRoute, signal: AbortSignal, reserve: () => () => void): Promise<Link> {
    const { router, waitForAgentMs } = this.#deps;
    // Nobody knows yet whether a session or a copy begins: a link without bulk serves both.
    const link = router.choose(route.agentId, 'interactive');
    if (link !== undefined) return link;
    const release = reserve();
    try {
      await router.waitFor(
        route.agentId,
        AbortSignal.any([signal, AbortSignal.timeout(waitForAgentMs)]),
      );
    } catch (error) {
      throw error instanceof TunnelError ? error : noAgent(route);
    } finally {
      release();
    }
    const found = router.choose(route.agentId, 'interactive');
    if (found === undefined) throw noAgent(route);
    return found;
  }
}
