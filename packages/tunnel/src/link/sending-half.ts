import { WRITE_HIGH_WATER_BYTES, WRITE_LOW_WATER_BYTES } from '../limits.ts';
import type { Traffic } from '../types.ts';
import type { Batch } from '../wire/encode.ts';
import type { Position } from './endpoint.ts';
import { SendWindow } from './flow-control.ts';
import { replayBudget } from './replay-budget.ts';
import { SendQueue } from './send-queue.ts';
import { TrafficMeter } from './traffic-meter.ts';

/**
 * What one end of a channel, or a switch's leg, sends: the bytes that wait, the
 * credit for them, and how much of that counts as bulk. One that `keeps` holds what it has sent
 * until it is acknowledged. Offsets as in SendWindow.
 */
export class SendingHalf {
  readonly #queue = new SendQueue();
  readonly #window: SendWindow;
  readonly #meter: TrafficMeter;
  readonly #keeps: boolean;
  /** The user was told that there is no room. */
  #wantsRoom = false;

  constructor(traffic: Traffic, keeps: boolean, limit?: number) {
    this.#window = new SendWindow(limit);
    this.#meter = new TrafficMeter(traffic);
    this.#keeps = keeps;
    if (keeps) this.#queue.keep();
  }

  get queuedBytes(): number {
    return this.#queue.bytes;
  }

  /** Next offset to send. */
  get sent(): number {
    return this.#window.sent;
  }

  get acked(): number {
    return this.#window.acked;
  }

  /** The offset that acknowledges everything, Fin included. Infinity until Fin was sent. */
  get endOffset(): number {
    return this.#queue.endOffset;
  }

  /** Payload that has left. */
  get sentBytes(): number {
    return this.#window.sent - (this.#queue.finSent ? 1 : 0);
  }

  get limit(): number {
    return this.#window.limit;
  }

  get finQueued(): boolean {
    return this.#queue.finQueued;
  }

  get finSent(): boolean {
    return this.#queue.finSent;
  }

  /** With the Fin. */
  get acknowledged(): boolean {
    return this.#window.acked >= this.#queue.endOffset;
  }

  /** Over the budget for what is kept, less may be under way than the other side allows. */
  get room(): number {
    const room = this.#window.room;
    if (!this.#keeps) return room;
    const allowance = replayBudget.allowance;
    if (allowance === Infinity) return room;
    return Math.max(0, Math.min(room, this.#window.acked + allowance - this.#window.sent));
  }

  get sendable(): boolean {
    return this.#queue.sendable(this.room);
  }

  /** Bytes wait, for credit alone. */
  get stalled(): boolean {
    return this.#queue.bytes > 0 && this.room === 0;
  }

  // ---- from the user ---------------------------------------------------------

  setTraffic(traffic: Traffic): void {
    this.#meter.set(traffic);
  }

  push(chunk: Buffer): void {
    this.#queue.push(chunk);
  }

  end(): void {
    this.#queue.end();
  }

  /** False: the user is to stop, until `roomAgain`. */
  takesMore(): boolean {
    if (this.#queue.bytes <= WRITE_HIGH_WATER_BYTES) return true;
    this.#wantsRoom = true;
    return false;
  }

  /** True once, when a user that was stopped may go on. */
  roomAgain(): boolean {
    if (!this.#wantsRoom || this.#queue.bytes > WRITE_LOW_WATER_BYTES) return false;
    this.#wantsRoom = false;
    return true;
  }

  clear(): void {
    this.#queue.clear();
  }

  // ---- to and from the link --------------------------------------------------

  isBulk(now: number): boolean {
    return this.#meter.isBulk(now);
  }

  /** Puts at most `max` payload bytes into the batch, and the Fin if it is its turn; returns how many. */
  emit(batch: Batch, channel: number, max: number, now: number): number {
    const window = this.#window;
    const sent = this.#queue.emit(batch, channel, window.sent, Math.min(max, this.room));
    window.sent += sent;
    if (this.#queue.finSent) window.sent += 1;
    this.#meter.sent(sent, now);
    return sent;
  }

  /** Opened: what may be sent before the first Credit. */
  allow(limit: number): void {
    this.#window.update(this.#window.acked, limit);
  }

  /** A Credit. False: it acknowledges what was never sent. */
  credit(acked: number, limit: number): boolean {
    if (!this.#window.update(acked, limit)) return false;
    this.#queue.acknowledge(acked);
    return true;
  }

  // ---- another attachment ----------------------------------------------------

  /** Whether the other side can stand there: all below was sent, and nothing above acknowledged. */
  reaches(received: number): boolean {
    return received >= this.#window.acked && received <= this.#window.sent;
  }

  /** Goes on from where the other side stands: what follows is sent again. */
  restart({ received, limit }: Position): void {
    this.#queue.rewind(received);
    this.#window.restart(received, limit);
  }

  /** Goes on behind the end: Fin was sent on an earlier attachment, and arrived; `end` counts it. */
  endedAt(end: number): void {
    this.#queue.endedAt(end);
  }
}
