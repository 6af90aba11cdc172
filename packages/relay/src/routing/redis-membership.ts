import { performance } from 'node:perf_hooks';
import type { RedisClient } from '../cluster/redis-client.ts';
import type { RedisKeys } from './redis-keys.ts';
import type { RelayInfo } from './registry.ts';
import { newestById, readRecord, writeRecord, type RelayRecord } from './relay-record.ts';
import { Twins, type TwinsLog } from './twins.ts';

export interface Refreshed {
  /** The lease was not there: first time, the store was emptied, or this process slept through it. */
  readonly rewritten: boolean;
  /** Members whose lease has ended. */
  readonly dead: readonly string[];
}

/** One lease for the whole relay, however many agents it holds, and who else has one. */
export class RedisMembership {
  readonly #client: RedisClient;
  readonly #keys: RedisKeys;
  readonly #leaseMs: number;
  readonly #twins: Twins;
  #self: RelayRecord | undefined;
  #live: readonly RelayRecord[] = [];

  constructor(client: RedisClient, keys: RedisKeys, leaseMs: number, log: TwinsLog) {
    this.#client = client;
    this.#keys = keys;
    this.#leaseMs = leaseMs;
    this.#twins = new Twins(leaseMs, log);
  }

  /** Live relays as last seen, each id once. */
  get relays(): readonly RelayInfo[] {
    return newestById(this.#live);
  }

  /** Four commands, whatever this relay holds. Rejects with the client's error. */
  async refresh(info: RelayInfo): Promise<Refreshed> {
    const self = (this.#self ??= await this.#introduce(info));
    const lease = this.#keys.lease(self.incarnation);
    const kept = await this.#client.run((redis) => redis.pexpire(lease, this.#leaseMs));
    if (kept === 0) {
      await this.#client.run((redis) => redis.hset(this.#keys.relays, self.incarnation, self.id));
      await this.#client.run((redis) => redis.set(lease, writeRecord(self), 'PX', this.#leaseMs));
    }
    const members = await this.#client.run((redis) => redis.hgetall(this.#keys.relays));
    const incarnations = Object.keys(members);
    const records = await this.records(incarnations);
    this.#live = records.size === 0 ? [self] : [...records.values()];
    this.#twins.check(self, this.#live, performance.now());
    return {
      // Or emptied since: then the next refresh writes it.
      rewritten: kept === 0 || !records.has(self.incarnation),
      dead: incarnations.filter((one) => one !== self.incarnation && !records.has(one)),
    };
  }

  /** Those of the incarnations that live. One command. */
  async records(incarnations: readonly string[]): Promise<ReadonlyMap<string, RelayRecord>> {
    const live = new Map<string, RelayRecord>();
    if (incarnations.length === 0) return live;
    const leases = incarnations.map((incarnation) => this.#keys.lease(incarnation));
    const texts = await this.#client.run((redis) => redis.mget(leases));
    for (const text of texts) {
      const record = readRecord(text);
      if (record !== undefined) live.set(record.incarnation, record);
    }
    return live;
  }

  /** The lease first: from then on nobody counts on what this relay held. */
  async leave(incarnation: string, clean: boolean): Promise<void> {
    await this.#client.run((redis) => redis.del(this.#keys.lease(incarnation)));
    // Otherwise the others clean up, and need the name for it.
    if (!clean) return;
    await this.#client.run((redis) => redis.del(this.#keys.held(incarnation)));
    await this.#client.run((redis) => redis.hdel(this.#keys.relays, incarnation));
  }

  async #introduce(info: RelayInfo): Promise<RelayRecord> {
    const [seconds, micros] = await this.#client.run((redis) => redis.time());
    return { ...info, startedAt: Number(seconds) * 1_000_000 + Number(micros) };
  }
}
