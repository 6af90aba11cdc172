import { BATCH_BYTES, MAX_DATA_BYTES } from '../limits.ts';
import type { Batch } from '../wire/encode.ts';
import type { Endpoint } from './endpoint.ts';
import { Pacer } from './pacer.ts';
import type { Pings } from './pings.ts';
import { Scheduler } from './scheduler.ts';

const BULK_MEMORY_MS = 1_000;

/** Whose data leaves in a batch, and how much: the order is the scheduler's, the measure of bulk the pacer's. */
export class Turns {
  readonly #scheduler = new Scheduler<Endpoint>();
  readonly #pings: Pings;
  /** Made when first needed: most links never carry bulk. */
  #pacer: Pacer | undefined;
  #bytesOut = 0;
  #bulkAt = -Infinity;

  constructor(pings: Pings) {
    this.#pings = pings;
  }

  get waiting(): boolean {
    return this.#scheduler.hasInteractive || this.#scheduler.hasBulk;
  }

  get bytesOut(): number {
    return this.#bytesOut;
  }

  /** Whether bulk waits, or went out during the last second. */
  get bulk(): boolean {
    return this.#scheduler.hasBulk || performance.now() - this.#bulkAt < BULK_MEMORY_MS;
  }

  add(endpoint: Endpoint, now: number): void {
    this.#scheduler.add(endpoint, now);
  }

  remove(endpoint: Endpoint): void {
    this.#scheduler.remove(endpoint);
  }

  /** Fills the batch. Returns those who had a turn, to be told of it once the batch has left. */
  emit(batch: Batch, now: number): Endpoint[] | undefined {
    const emitted = this.#emitInteractive(batch, now);
    return this.#scheduler.hasBulk ? this.#emitBulk(batch, now, emitted) : emitted;
  }

  /** True: something waits to be sent on account of that. */
  onPong(token: number, now: number): boolean {
    const pacer = this.#pacer;
    if (pacer === undefined) return false;
    pacer.onPong(token, now);
    if (this.#scheduler.hasBulk) return true;
    if (!pacer.wantsProbe) return false;
    const probe = this.#pings.nextToken();
    pacer.onProbe(probe, now);
    this.#pings.push(probe);
    return true;
  }

  #emitInteractive(batch: Batch, now: number): Endpoint[] | undefined {
    let emitted: Endpoint[] | undefined;
    while (this.#scheduler.hasInteractive && batch.bytes < BATCH_BYTES) {
      const endpoint = this.#scheduler.nextInteractive(now);
      if (endpoint === undefined) break;
      this.#emit(batch, endpoint, MAX_DATA_BYTES, now);
      (emitted ??= []).push(endpoint);
    }
    return emitted;
  }

  #emitBulk(batch: Batch, now: number, emitted: Endpoint[] = []): Endpoint[] {
    const pacer = (this.#pacer ??= new Pacer());
    this.#bulkAt = now;
    // One slice at least goes out with each batch, whatever came first.
    do {
      const room = pacer.room(now);
      if (room === 0) break;
      const endpoint = this.#scheduler.nextBulk();
      if (endpoint === undefined) break;
      this.#emit(batch, endpoint, Math.min(room, pacer.sliceBytes), now);
      emitted.push(endpoint);
    } while (batch.bytes < BATCH_BYTES);
    if (pacer.wantsProbe) {
      const token = this.#pings.nextToken();
      batch.ping(token);
      pacer.onProbe(token, now);
    }
    return emitted;
  }

  #emit(batch: Batch, endpoint: Endpoint, max: number, now: number): void {
    if (!endpoint.sendable) return;
    const sent = endpoint.emit(batch, max, now);
    this.#bytesOut += sent;
    this.#pacer?.onSent(sent, now);
    if (endpoint.sendable) this.#scheduler.add(endpoint, now);
  }
}
