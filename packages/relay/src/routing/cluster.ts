import {
  TunnelError,
  type Channel,
  type Link,
  type OpenOptions,
  type Resumable,
  type Resumer,
  type Traffic,
} from '@burrow/tunnel';
import type { Peers } from '../peers/index.ts';
import { chooseLink } from './choose-link.ts';
import { REGISTRY_LIMITS } from './limits.ts';
import type { MemoryRouting } from './memory.ts';
import type { AgentRoute, Registry, RelayInfo } from './registry.ts';
import { reachOne } from './reach-one.ts';
import { RouteCache } from './route-cache.ts';
import { RouteSearch, type SearchDeps } from './route-search.ts';
import type { LinkChooser, LinkRegistry, Router } from './router.ts';
import { Shunned } from './shunned.ts';

export interface ClusterRoutingOptions {
  /** Links that end here; they go first. */
  readonly local: MemoryRouting;
  readonly registry: Registry;
  readonly peers: Pick<Peers, 'linkNow' | 'link' | 'onLost'>;
  /** Callers of `waitFor` at once, over all agents. Above it `waitFor` rejects with `limit`. */
  readonly maxWaiting: number;
  /** How long a relay that cannot be reached is left alone at most, ms: its lease. */
  readonly leaseMs: number;
  /** Behind the publishes, which may be lost; ms. */
  readonly pollMs?: number;
}

export interface ClusterRouting extends Router, LinkChooser, LinkRegistry {
  /** Callers of `waitFor`. */
  readonly waiting: number;
  /** Agents whose relay is known. */
  readonly cached: number;
  failed(agentId: string, link: Link, error: TunnelError): void;
  /** Ends what waits and listens no more. Idempotent. */
  stop(): void;
}

/**
 * Routing in a cluster: the agent's own links when there are any here, else those
 * of a relay that has some. Never through a third one.
 */
export function clusterRouting(options: ClusterRoutingOptions): ClusterRouting {
  const { local, registry, peers, maxWaiting } = options;
  const cache = new RouteCache();
  const monotonic = (): number => performance.now();
  const shunned = new Shunned(options.leaseMs, monotonic);
  /** `agent incarnation` → when it may be asked again */
  const absent = new Map<string, number>();
  const searches = new Map<string, RouteSearch>();
  const renewals = new Set<string>();
  /** One for all who look for a way around a silent link of the agent. */
  const detours = new Map<string, Promise<void>>();
  const leadsTo = new WeakMap<Link, RelayInfo>();
  const watchers = new WeakMap<AgentRoute, Watcher>();
  const stopped = new AbortController();
  let waiting = 0;

  const deps: SearchDeps = {
    ...options,
    cache,
    shunned,
    pollMs: options.pollMs ?? REGISTRY_LIMITS.pollMs,
    usable: (agentId) => choose(agentId, 'auto') !== undefined,
    mayHave: (agentId, route) => !isAbsent(agentId, route.relay),
  };

  function isAbsent(agentId: string, relay: RelayInfo): boolean {
    const until = absent.get(`${agentId} ${relay.incarnation}`);
    return until !== undefined && until > monotonic();
  }

  /** The relay said that it does not have the agent, or that it cannot take the channel. */
  function gone(agentId: string, relay: RelayInfo): void {
    cache.without(agentId, relay.incarnation);
    const [oldest] = absent.keys();
    if (absent.size >= REGISTRY_LIMITS.absentRemembered && oldest !== undefined)
      absent.delete(oldest);
    absent.set(`${agentId} ${relay.incarnation}`, monotonic() + REGISTRY_LIMITS.absentMs);
  }

  /** The best link of another relay that is known to have the agent. */
  function remote(agentId: string, traffic: Traffic): Found | undefined {
    const known = cache.get(agentId);
    if (known === undefined || known.stale) return undefined;
    const found: Found[] = [];
    for (const route of known.routes) {
      const link = peers.linkNow(route.relay, traffic);
      if (link === undefined) continue;
      leadsTo.set(link, route.relay);
      if (known.routes.length === 1) return { route, link };
      found.push({ route, link });
    }
    const best = chooseLink(
      found.map(({ link }) => link),
      traffic,
    );
    return found.find(({ link }) => link === best);
  }

  function choose(agentId: string, traffic: Traffic): Link | undefined {
    const here = local.choose(agentId, traffic);
    if (here?.stats.silent === false) return here;
    const there = remote(agentId, traffic)?.link;
    return there?.stats.silent === false ? there : (here ?? there);
  }

  /** What is here does not answer, and another relay's link to the agent does. */
  function betterElsewhere(agentId: string, traffic: Traffic): boolean {
    return (
      local.choose(agentId, traffic)?.stats.silent === true &&
      remote(agentId, traffic)?.link.stats.silent === false
    );
  }

  async function goAround(agentId: string): Promise<void> {
    const { signal } = stopped;
    const known = cache.get(agentId)?.routes ?? [];
    const reach = (routes: readonly AgentRoute[]): Promise<boolean> => {
      const here = routes.filter((route) => deps.mayHave(agentId, route));
      const others = here.filter(({ relay }) => peers.linkNow(relay) === undefined);
      return reachOne(others, deps, signal);
    };
    const goThere = async (): Promise<boolean> => {
      const found = await reach(known);
      if (found && cache.get(agentId)?.stale === true) cache.set(agentId, known);
      return found;
    };
    const lookUp = async (): Promise<boolean> => {
      // The registry is away, or was just emptied: what was known may still be so.
      const routes = await registry.find(agentId, signal).catch(() => known);
      const here = routes.filter((route) => deps.mayHave(agentId, route));
      if (here.length > 0) cache.set(agentId, here);
      return reach(here);
    };
    // A registry that hangs says so late: where what is known leads on, nobody waits for that.
    const reached = (way: Promise<boolean>): Promise<void> =>
      way.then((found) => (found ? undefined : Promise.reject(new Error('No other relay.'))));
    await Promise.any([reached(goThere()), reached(lookUp())]);
  }

  function around(agentId: string): Promise<void> {
    let detour = detours.get(agentId);
    if (detour === undefined) {
      detour = goAround(agentId)
        .catch(() => {})
        .finally(() => detours.delete(agentId));
      detours.set(agentId, detour);
    }
    return detour;
  }

  function openRemote(agentId: string, open: OpenOptions, handler: Parameters<Router['open']>[2]) {
    let full: TunnelError | undefined;
    for (let attempt = 0; attempt < 2; attempt++) {
      const found = remote(agentId, open.traffic ?? 'auto');
      if (found === undefined) break;
      try {
        const { link, route } = found;
        return link.open(
          { ...open, workload: agentId, resumer: watch(agentId, route, open.resumer) },
          handler,
        );
      } catch (error) {
        // It ended in this moment, or is full: another one will do.
        if (!(error instanceof TunnelError)) throw error;
        if (error.code === 'limit') full = error;
        else if (error.code !== 'draining' && error.code !== 'link-lost') throw error;
      }
    }
    if (full !== undefined) throw full;
    return undefined;
  }

  /** Of a channel over a peer link only this tells how it ended: its handler belongs to its user. */
  function watch(agentId: string, route: AgentRoute, inner: Resumer | undefined): Resumer {
    const known = watchers.get(route);
    if (known !== undefined && known.inner === inner) return known.resumer;
    const resumer: Resumer = {
      onDetached(channel, reason) {
        if (inner === undefined) channel.fail(reason);
        else inner.onDetached(channel, reason);
      },
      onDraining: (channel) => inner?.onDraining?.(channel),
      onSilent: (channel) => inner?.onSilent?.(channel),
      onAttached: (channel) => inner?.onAttached?.(channel),
      onOver(channel, why) {
        const { opened } = channel as Resumable & Partial<Channel>;
        // Later it says no more than that one way to the agent was lost.
        if (opened === false && why !== undefined && isNotThere(why.code)) {
          gone(agentId, route.relay);
        }
        inner?.onOver?.(channel, why);
      },
    };
    watchers.set(route, { inner, resumer });
    return resumer;
  }

  async function waitFor(agentId: string, signal: AbortSignal): Promise<void> {
    if (deps.usable(agentId)) return;
    signal.throwIfAborted();
    if (waiting >= maxWaiting) {
      throw new TunnelError(
        'limit',
        'Too many requests are waiting for agents on this relay; try again shortly.',
      );
    }
    stopped.signal.throwIfAborted();
    let search = searches.get(agentId);
    if (search === undefined) {
      search = new RouteSearch(agentId, deps, () => searches.delete(agentId));
      searches.set(agentId, search);
    }
    waiting += 1;
    try {
      await search.wait(signal);
    } finally {
      waiting -= 1;
    }
  }

  /** What is known is used until the answer is there: most changes are about a further link. */
  async function renew(agentId: string): Promise<void> {
    if (renewals.has(agentId)) return;
    const known = cache.get(agentId);
    if (known === undefined) return;
    if (renewals.size >= REGISTRY_LIMITS.renewals) {
      cache.delete(agentId);
      return;
    }
    renewals.add(agentId);
    try {
      const routes = await registry.find(agentId, stopped.signal);
      if (cache.get(agentId) === undefined) return;
      cache.set(
        agentId,
        routes.filter(({ relay }) => !isAbsent(agentId, relay)),
      );
    } catch {
      // The registry is away: what was known may still be so.
    } finally {
      renewals.delete(agentId);
    }
  }

  const unsubscribe = [
    registry.onChange((agentId) => {
      for (const { relay } of cache.get(agentId)?.routes ?? []) {
        absent.delete(`${agentId} ${relay.incarnation}`);
      }
      const search = searches.get(agentId);
      if (search === undefined) void renew(agentId);
      else {
        for (const key of absent.keys()) if (key.startsWith(`${agentId} `)) absent.delete(key);
        search.hurry();
      }
    }),
    peers.onLost((relay) => cache.doubt(relay)),
  ];

  return {
    open(agentId, open, handler) {
      const elsewhere = betterElsewhere(agentId, open.traffic ?? 'auto');
      const channel = elsewhere ? openRemote(agentId, open, handler) : undefined;
      return channel ?? local.open(agentId, open, handler) ?? openRemote(agentId, open, handler);
    },
    choose,
    around,
    waitFor,
    presence: (agentId) => local.presence(agentId),
    add(agentId, link, hello) {
      local.add(agentId, link, hello);
      registry.add(agentId, link.id, hello.instanceId);
    },
    remove(agentId, link) {
      local.remove(agentId, link);
      registry.remove(agentId, link.id);
    },
    failed(agentId, link, error) {
      const relay = leadsTo.get(link);
      if (relay !== undefined && isNotThere(error.code)) gone(agentId, relay);
    },
    get waiting() {
      return waiting;
    },
    get cached() {
      return cache.size;
    },
    stop() {
      stopped.abort(new TunnelError('draining', 'The relay shuts down.'));
      for (const end of unsubscribe.splice(0)) end();
      for (const search of searches.values()) search.stop(stopped.signal.reason as TunnelError);
    },
  };
}

interface Found {
  readonly route: AgentRoute;
  readonly link: Link;
}

interface Watcher {
  readonly inner: Resumer | undefined;
  readonly resumer: Resumer;
}

function isNotThere(code: string): boolean {
  return code === 'agent-gone' || code === 'draining';
}
