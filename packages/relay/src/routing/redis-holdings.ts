import { setTimeout as delay } from 'node:timers/promises';
import type { RedisClient } from '../cluster/redis-client.ts';
import { REGISTRY_LIMITS } from './limits.ts';
import type { RedisKeys } from './redis-keys.ts';

export interface HoldingsOptions {
  readonly client: RedisClient;
  readonly keys: RedisKeys;
  /** A batch was written, or not. */
  readonly onWritten: (error: unknown) => void;
  /** Agents without a link here, whose last entry could not be deleted yet. */
  readonly maxForgotten?: number;
}

interface Pending {
  /** Others wait for the news. */
  publish: boolean;
}

/**
 * What this relay holds, and the background writer that makes Redis say the same:
 * one field for an agent, from its first link to its last, however many it opens
 * and closes in between. Only what Redis does not know yet is kept, by agent.
 */
export class RedisHoldings {
  readonly #options: HoldingsOptions;
  readonly #links = new Map<string, Map<string, string>>();
  readonly #pending = new Map<string, Pending>();
  /** Agents that are known to be in this relay's set. */
  readonly #indexed = new Set<string>();
  readonly #stop = new AbortController();
  #incarnation: string | undefined;
  #working: Promise<void> | undefined;

  constructor(options: HoldingsOptions) {
    this.#options = options;
  }

  /** Agents whose entries are not yet as they should be. */
  get unwritten(): number {
    return this.#pending.size;
  }

  get agents(): number {
    return this.#links.size;
  }

  start(incarnation: string): void {
    this.#incarnation = incarnation;
    this.#work();
  }

  add(agentId: string, linkId: string, instanceId: string): void {
    const links = this.#links.get(agentId) ?? new Map<string, string>();
    const before = latest(links);
    // The latest link speaks for the agent.
    links.delete(linkId);
    links.set(linkId, instanceId);
    this.#links.set(agentId, links);
    if (before === instanceId) return;
    this.#touch(agentId).publish ||= before === undefined;
    this.#work();
  }

  remove(agentId: string, linkId: string): void {
    const links = this.#links.get(agentId);
    const before = links && latest(links);
    if (links === undefined || !links.delete(linkId)) return;
    const now = latest(links);
    if (now === before) return;
    if (now === undefined) {
      this.#links.delete(agentId);
      // What is forgotten here dies with this relay's lease, or when somebody finds nobody there.
      const full = this.#pending.size >= (this.#options.maxForgotten ?? REGISTRY_LIMITS.forgotten);
      if (full && !this.#pending.has(agentId)) return;
    }
    this.#touch(agentId).publish ||= now === undefined;
    this.#work();
  }

  /** Everything is written again: Redis may have lost it. */
  rewrite(): void {
    this.#indexed.clear();
    for (const agentId of this.#links.keys()) this.#touch(agentId);
    this.#work();
  }

  /** Resolves once nothing waits to be written, or at the signal. */
  async flushed(signal: AbortSignal): Promise<void> {
    while (this.#pending.size > 0 && !signal.aborted && this.#working !== undefined) {
      const aborted = Promise.withResolvers<void>();
      const abort = (): void => aborted.resolve();
      signal.addEventListener('abort', abort, { once: true });
      await Promise.race([this.#working, aborted.promise]);
      signal.removeEventListener('abort', abort);
    }
  }

  /** Ends the writer. Idempotent. */
  stop(): void {
    this.#stop.abort();
  }

  #touch(agentId: string): Pending {
    let pending = this.#pending.get(agentId);
    if (pending === undefined) {
      this.#pending.set(agentId, (pending = { publish: false }));
    }
    return pending;
  }

  #work(): void {
    if (this.#incarnation === undefined || this.#stop.signal.aborted) return;
    this.#working ??= this.#writeAll(this.#incarnation, this.#stop.signal).finally(() => {
      this.#working = undefined;
      if (this.#pending.size > 0) this.#work();
    });
  }

  /** One batch at a time, so that two writes about one agent cannot pass each other. */
  async #writeAll(incarnation: string, signal: AbortSignal): Promise<void> {
    // What else happens in this turn of the event loop goes with the same batch.
    await Promise.resolve();
    while (this.#pending.size > 0 && !signal.aborted) {
      const batch = this.#take();
      const errors = await this.#write(incarnation, batch);
      this.#options.onWritten(errors[0]);
      const wait = errors.length > 0 ? REGISTRY_LIMITS.writeRetryMs : REGISTRY_LIMITS.writePaceMs;
      if (this.#pending.size > 0) await pause(wait, signal);
    }
  }

  #take(): Map<string, Pending> {
    const batch = new Map<string, Pending>();
    for (const [agentId, pending] of this.#pending) {
      batch.set(agentId, pending);
      this.#pending.delete(agentId);
      if (batch.size === REGISTRY_LIMITS.writeBatch) break;
    }
    return batch;
  }

  async #write(incarnation: string, batch: ReadonlyMap<string, Pending>): Promise<unknown[]> {
    const { client, keys } = this.#options;
    const held = keys.held(incarnation);
    const errors: unknown[] = [];
    const agents = [...batch.keys()];
    const here = agents.filter((agentId) => this.#links.has(agentId));
    const unknown = here.filter((agentId) => !this.#indexed.has(agentId));
    const left = agents.filter((agentId) => !this.#links.has(agentId));
    const changed: string[] = [];
    const failed = (agentIds: readonly string[]) => (error: unknown) => {
      errors.push(error);
      for (const agentId of agentIds) {
        this.#touch(agentId).publish ||= batch.get(agentId)?.publish ?? false;
      }
    };
    const writes = agents.map((agentId) =>
      this.#writeAgent(incarnation, agentId).then(
        () => void (batch.get(agentId)?.publish && changed.push(agentId)),
        failed([agentId]),
      ),
    );
    if (unknown.length > 0) {
      const indexed = (): void => {
        for (const agentId of unknown) this.#indexed.add(agentId);
      };
      writes.push(client.run((redis) => redis.sadd(held, unknown)).then(indexed, failed(unknown)));
    }
    await Promise.all(writes);
    const after: Promise<unknown>[] = [];
    // What came back meanwhile is written again.
    for (const agentId of left) this.#indexed.delete(agentId);
    const gone = left.filter((agentId) => !this.#pending.has(agentId));
    if (gone.length > 0) {
      after.push(client.run((redis) => redis.srem(held, gone)).catch(failed(gone)));
    }
    if (changed.length > 0) {
      const message = `a ${changed.join(' ')}`;
      // Only a hint: whoever misses it polls.
      after.push(client.run((redis) => redis.publish(keys.changes, message)).catch(() => {}));
    }
    await Promise.all(after);
    return errors;
  }

  async #writeAgent(incarnation: string, agentId: string): Promise<void> {
    const { client, keys } = this.#options;
    const key = keys.agent(agentId);
    const instanceId = latest(this.#links.get(agentId));
    await client.run((redis) =>
      instanceId === undefined
        ? redis.hdel(key, incarnation)
        : redis.hset(key, incarnation, instanceId),
    );
  }
}

/** Of the link that came last; undefined: there is none. */
function latest(links: ReadonlyMap<string, string> | undefined): string | undefined {
  return links === undefined ? undefined : [...links.values()].at(-1);
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal, ref: false }).catch(() => undefined);
}
