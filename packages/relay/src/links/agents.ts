import { TunnelError, type HelloInfo, type Link } from '@burrow/tunnel';

/** Instances that were replaced and are remembered, per agent. */
const MAX_REPLACED = 8;

interface Entry {
  readonly links: Set<Link>;
  instanceId: string | undefined;
  /** Instances that lost their place to a newer one. */
  readonly replaced: string[];
  /** Links admitted and not yet welcomed. */
  pending: number;
  /** Connects in the current minute. */
  windowStart: number;
  connects: number;
}

export interface AgentCaps {
  readonly maxLinks: number;
  readonly maxConnectsPerMinute: number;
}

/**
 * Who holds links, and who may add one. All links of an agent come from one
 * instance (one run of the agent's process): another link of the same instance is added;
 * a link of a *new* instance takes over, as a restarted container does, and the
 * old instance's links are closed. A replaced instance that dials again is
 * refused as long as its successor is connected: otherwise two processes with
 * one token would throw each other out for ever.
 */
export class AgentTable {
  readonly #entries = new Map<string, Entry>();
  readonly #caps: AgentCaps;
  readonly #now: () => number;

  constructor(caps: AgentCaps, now: () => number) {
    this.#caps = caps;
    this.#now = now;
  }

  /** Reserves a place for a link. Throws TunnelError `too-many-links`. Follow with `settle`. */
  reserve(agentId: string): void {
    const now = this.#now();
    let entry = this.#entries.get(agentId);
    if (entry === undefined) {
      entry = {
        links: new Set(),
        instanceId: undefined,
        replaced: [],
        pending: 0,
        windowStart: now,
        connects: 0,
      };
      this.#entries.set(agentId, entry);
    }
    if (now - entry.windowStart >= 60_000) {
      entry.windowStart = now;
      entry.connects = 0;
    }
    // Twice the cap: a new instance may arrive while the old one's links are still there.
    if (
      entry.links.size + entry.pending >= this.#caps.maxLinks * 2 ||
      entry.pending >= this.#caps.maxLinks
    ) {
      throw tooMany(
        `This agent has ${entry.links.size + entry.pending} links already; no more are taken.`,
      );
    }
    entry.connects += 1;
    if (entry.connects > this.#caps.maxConnectsPerMinute) {
      throw tooMany(
        `This agent opened more than ${this.#caps.maxConnectsPerMinute} links within a minute.`,
      );
    }
    entry.pending += 1;
  }

  settle(agentId: string): void {
    const entry = this.#entries.get(agentId);
    if (entry !== undefined) entry.pending -= 1;
    this.#forgetIdle(agentId);
  }

  /** Checks the instance's right to a link, after Hello. Throws TunnelError `too-many-links`. */
  check(agentId: string, hello: HelloInfo): void {
    const entry = this.#entries.get(agentId);
    if (entry === undefined || entry.links.size === 0) return;
    if (entry.replaced.includes(hello.instanceId)) {
      throw tooMany(
        'A newer process with the same agent token has taken over. Stop one of the two, or give each its own workspace.',
      );
    }
    if (entry.instanceId === hello.instanceId && entry.links.size >= this.#caps.maxLinks) {
      throw tooMany(`This agent has ${entry.links.size} links already; no more are taken.`);
    }
  }

  /** Adds a welcomed link; returns the links of the instance that it replaces. */
  add(agentId: string, link: Link, hello: HelloInfo): readonly Link[] {
    const entry = this.#entries.get(agentId);
    if (entry === undefined) throw new Error('a link was added without a reservation');
    let replaced: Link[] = [];
    if (
      entry.instanceId !== undefined &&
      entry.instanceId !== hello.instanceId &&
      entry.links.size > 0
    ) {
      replaced = [...entry.links];
      entry.replaced.push(entry.instanceId);
      if (entry.replaced.length > MAX_REPLACED) entry.replaced.shift();
    }
    entry.instanceId = hello.instanceId;
    entry.links.add(link);
    return replaced;
  }

  remove(agentId: string, link: Link): void {
    const entry = this.#entries.get(agentId);
    if (entry === undefined || !entry.links.delete(link)) return;
    if (entry.links.size === 0) {
      entry.instanceId = undefined;
      entry.replaced.length = 0;
    }
    this.#forgetIdle(agentId);
  }

  links(agentId: string): readonly Link[] {
    return [...(this.#entries.get(agentId)?.links ?? [])];
  }

  *all(): IterableIterator<Link> {
    for (const entry of this.#entries.values()) yield* entry.links;
  }

  /** Agents with a link. */
  connected(): string[] {
    return [...this.#entries].filter(([, entry]) => entry.links.size > 0).map(([id]) => id);
  }

  /** Forgets agents whose connect count no longer matters. Called on a timer. */
  sweep(): void {
    for (const id of this.#entries.keys()) this.#forgetIdle(id);
  }

  #forgetIdle(agentId: string): void {
    const entry = this.#entries.get(agentId);
    if (entry === undefined || entry.links.size > 0 || entry.pending > 0) return;
    if (this.#now() - entry.windowStart >= 60_000) this.#entries.delete(agentId);
  }
}

function tooMany(message: string): TunnelError {
  return new TunnelError('too-many-links', message);
}
