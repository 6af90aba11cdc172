import {
  TunnelError,
  type Channel,
  type ChannelHandler,
  type HelloInfo,
  type Link,
  type OpenOptions,
} from '@burrow/tunnel';
import { chooseLink } from './choose-link.ts';
import type { LinkChooser, LinkRegistry, Presence, Router } from './router.ts';

interface AgentEntry {
  readonly links: Link[];
  readonly connectedSince: number;
  hello: HelloInfo;
}

interface Waiter {
  readonly resolve: () => void;
}

export interface MemoryRouting extends Router, LinkChooser, LinkRegistry {
  /** Agents with at least one link. */
  agents(): IterableIterator<string>;
  links(): IterableIterator<Link>;
  /** All links, each with its agent. */
  ends(): IterableIterator<readonly [Link, agentId: string]>;
  readonly agentCount: number;
  readonly linkCount: number;
  readonly waiting: number;
}

export interface MemoryRoutingOptions {
  /** Callers of `waitFor` at once, over all agents. Above it `waitFor` rejects with `limit`. */
  readonly maxWaiting: number;
  readonly now?: () => number;
}

/** Routing inside one relay process: every agent's links end here. */
export function memoryRouting(options: MemoryRoutingOptions): MemoryRouting {
  const entries = new Map<string, AgentEntry>();
  const waiters = new Map<string, Set<Waiter>>();
  const now = options.now ?? Date.now;
  let linkCount = 0;
  let waiting = 0;

  const usable = (agentId: string): boolean =>
    entries.get(agentId)?.links.some((link) => !link.closed && !link.draining) ?? false;

  function open(agentId: string, open: OpenOptions, handler: ChannelHandler): Channel | undefined {
    const entry = entries.get(agentId);
    if (entry === undefined) return undefined;
    const link = chooseLink(entry.links, open.traffic ?? 'auto');
    if (link === undefined) return undefined;
    try {
      return link.open(open, handler);
    } catch (error) {
      return openElsewhere(entry, link, error, open, handler);
    }
  }

  /** The best link was full or just ended: any other will do. */
  function openElsewhere(
    entry: AgentEntry,
    refused: Link,
    error: unknown,
    open: OpenOptions,
    handler: ChannelHandler,
  ): Channel | undefined {
    let full = isLimit(error) ? error : undefined;
    if (full === undefined && !isGone(error)) throw error;
    for (const link of entry.links) {
      if (link === refused || link.closed || link.draining) continue;
      try {
        return link.open(open, handler);
      } catch (next) {
        if (isLimit(next)) full ??= next;
        else if (!isGone(next)) throw next;
      }
    }
    if (full !== undefined) throw full;
    return undefined;
  }

  function waitFor(agentId: string, signal: AbortSignal): Promise<void> {
    if (usable(agentId)) return Promise.resolve();
    if (signal.aborted) return Promise.reject(signal.reason as Error);
    if (waiting >= options.maxWaiting) {
      return Promise.reject(
        new TunnelError(
          'limit',
          'Too many requests are waiting for agents on this relay; try again shortly.',
        ),
      );
    }
    return new Promise((resolve, reject) => {
      const done = (): void => {
        signal.removeEventListener('abort', aborted);
        const set = waiters.get(agentId);
        if (set?.delete(waiter) === true) waiting -= 1;
        if (set?.size === 0) waiters.delete(agentId);
      };
      const aborted = (): void => {
        done();
        reject(signal.reason as Error);
      };
      const waiter: Waiter = {
        resolve: () => {
          done();
          resolve();
        },
      };
      let set = waiters.get(agentId);
      if (set === undefined) waiters.set(agentId, (set = new Set()));
      set.add(waiter);
      waiting += 1;
      signal.addEventListener('abort', aborted, { once: true });
    });
  }

  return {
    open,
    choose(agentId, traffic) {
      const entry = entries.get(agentId);
      return entry === undefined ? undefined : chooseLink(entry.links, traffic);
    },
    waitFor,
    presence(agentId): Presence | undefined {
      const entry = entries.get(agentId);
      if (entry === undefined) return undefined;
      return {
        links: entry.links.length,
        connectedSince: entry.connectedSince,
        hello: entry.hello,
      };
    },
    add(agentId, link, hello) {
      let entry = entries.get(agentId);
      if (entry === undefined) {
        entry = { links: [], connectedSince: now(), hello };
        entries.set(agentId, entry);
      }
      if (!entry.links.includes(link)) {
        entry.links.push(link);
        linkCount += 1;
      }
      entry.hello = hello;
      for (const waiter of waiters.get(agentId) ?? []) waiter.resolve();
    },
    remove(agentId, link) {
      const entry = entries.get(agentId);
      const index = entry?.links.indexOf(link) ?? -1;
      if (entry === undefined || index < 0) return;
      entry.links.splice(index, 1);
      linkCount -= 1;
      if (entry.links.length === 0) entries.delete(agentId);
    },
    agents: () => entries.keys(),
    *links() {
      for (const entry of entries.values()) yield* entry.links;
    },
    *ends() {
      for (const [agentId, { links }] of entries) for (const link of links) yield [link, agentId];
    },
    get agentCount() {
      return entries.size;
    },
    get linkCount() {
      return linkCount;
    },
    get waiting() {
      return waiting;
    },
  };
}

function isLimit(error: unknown): error is TunnelError {
  return error instanceof TunnelError && error.code === 'limit';
}

function isGone(error: unknown): boolean {
  return error instanceof TunnelError && (error.code === 'draining' || error.code === 'link-lost');
}
