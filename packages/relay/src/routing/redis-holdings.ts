import { setTimeout as delay } from 'node:timers/promises';
import type { RedisClient } from '../cluster/redis-client.ts';
import { linkField, type RedisKeys } from './redis-keys.ts';

export interface HoldingsOptions {
  readonly client: RedisClient;
  readonly keys: RedisKeys;
  /** A batch was written, or not. */
  readonly onWritten: (error: unknown) => void;
  /** Agents without a link here, whose last entry could not be deleted yet. */
  readonly maxForgotten?: number;
}

/** Agents written at once. */
const BATCH = 256;
/** Between batches, ms: another relay's lookup comes in between. */
const PACE_MS = 20;
const RETRY_MS = 1_000;
const MAX_FORGOTTEN = 100_000;

interface Pending {
  /** Links whose entry is to be deleted. */
  readonly gone: Set<string>;
  /** Others wait for the news. */
  publish: boolean;
}

/**
 * What this relay holds, and the background writer that makes Redis say the same.
 * Only the difference between the two is kept, by agent: however often an agent
 * comes and goes while Redis is away, it costs one entry.
 */
export class RedisHoldings {
  readonly #options: HoldingsOptions;
  readonly #links = new Map<string, Map<string, string>>();
  readonly #pending = new Map<string, Pending>();
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
    let links = this.#links.get(agentId);
    const first = links === undefined;
    if (links === undefined) this.#links.set(agentId, (links = new Map()));
    const changed = links.get(linkId) !== instanceId;
    links.set(linkId, instanceId);
    if (!changed) return;
    const pending = this.#touch(agentId);
    pending.gone.delete(linkId);
    if (first) pending.publish = true;
    this.#work();
  }

  remove(agentId: string, linkId: string): void {
    const links = this.#links.get(agentId);
    if (links === undefined || !links.delete(linkId)) return;
    const last = links.size === 0;
    if (last) this.#links.delete(agentId);
    // What is forgotten here dies with this relay's lease, or when somebody finds nobody there.
    const full = this.#pending.size >= (this.#options.maxForgotten ?? MAX_FORGOTTEN);
    if (last && full && !this.#pending.has(agentId)) return;
    const pending = this.#touch(agentId);
    pending.gone.add(linkId);
    if (last) pending.publish = true;
    this.#work();
  }

  /** Everything is written again: Redis may have lost it. */
  rewrite(): void {
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
      this.#pending.set(agentId, (pending = { gone: new Set(), publish: false }));
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
      const wait = errors.length > 0 ? RETRY_MS : PACE_MS;
      if (this.#pending.size > 0) await pause(wait, signal);
    }
  }

  #take(): Map<string, Pending> {
    const batch = new Map<string, Pending>();
    for (const [agentId, pending] of this.#pending) {
      batch.set(agentId, pending);
      this.#pending.delete(agentId);
      if (batch.size === BATCH) break;
    }
    return batch;
  }

  async #write(incarnation: string, batch: ReadonlyMap<string, Pending>): Promise<unknown[]> {
    const { client, keys } = this.#options;
    const held = keys.held(incarnation);
    const errors: unknown[] = [];
    const here = [...batch.keys()].filter((agentId) => this.#links.has(agentId));
    const left = [...batch.keys()].filter((agentId) => !this.#links.has(agentId));
    const changed: string[] = [];
    const failed = (agentIds: readonly string[]) => (error: unknown) => {
      errors.push(error);
      for (const agentId of agentIds) this.#again(agentId, batch.get(agentId));
    };
    const writes = [...batch].map(([agentId, pending]) =>
      this.#writeAgent(incarnation, agentId, pending).then(
        () => {
          if (pending.publish) changed.push(agentId);
        },
        failed([agentId]),
      ),
    );
    if (here.length > 0) {
      writes.push(client.run((redis) => redis.sadd(held, here)).then(() => {}, failed(here)));
    }
    await Promise.all(writes);
    const now: Promise<unknown>[] = [];
    const gone = left.filter((agentId) => !this.#pending.has(agentId));
    if (gone.length > 0) {
      now.push(client.run((redis) => redis.srem(held, gone)).catch(failed(gone)));
    }
    if (changed.length > 0) {
      const message = `a ${changed.join(' ')}`;
      // Only a hint: whoever misses it polls.
      now.push(client.run((redis) => redis.publish(keys.changes, message)).catch(() => undefined));
    }
    await Promise.all(now);
    return errors;
  }

  async #writeAgent(incarnation: string, agentId: string, pending: Pending): Promise<void> {
    const { client, keys } = this.#options;
    const key = keys.agent(agentId);
    const entries = [...(this.#links.get(agentId) ?? [])].flatMap(([linkId, instanceId]) => [
      linkField(incarnation, linkId),
      instanceId,
    ]);
    const gone = [...pending.gone].map((linkId) => linkField(incarnation, linkId));
    await Promise.all([
      ...(entries.length === 0 ? [] : [client.run((redis) => redis.hset(key, entries))]),
      ...(gone.length === 0 ? [] : [client.run((redis) => redis.hdel(key, ...gone))]),
    ]);
  }

  #again(agentId: string, failed: Pending | undefined): void {
    const pending = this.#touch(agentId);
    if (failed === undefined) return;
    const links = this.#links.get(agentId);
    for (const linkId of failed.gone) if (links?.has(linkId) !== true) pending.gone.add(linkId);
    pending.publish ||= failed.publish;
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal, ref: false }).catch(() => undefined);
}
