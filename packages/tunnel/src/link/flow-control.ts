import { INITIAL_WINDOW_BYTES, MAX_WINDOW_BYTES, WINDOW_BUDGET_BYTES } from '../limits.ts';

/** What windows have grown by, over all channels of the process. */
export class WindowBudget {
  #left: number;

  constructor(bytes: number) {
    this.#left = bytes;
  }

  take(bytes: number): boolean {
    if (bytes > this.#left) return false;
    this.#left -= bytes;
    return true;
  }

  give(bytes: number): void {
    this.#left += bytes;
  }
}

const processBudget = new WindowBudget(WINDOW_BUDGET_BYTES);

/**
 * The receiver's side of one direction. Offsets count bytes from 0; Fin takes
 * one. The window doubles while the sender uses it up within two round trips,
 * up to MAX_WINDOW_BYTES and what the process's budget allows.
 */
export class ReceiveWindow {
  /** Everything below has arrived. */
  received = 0;
  /** Everything below has been handed on. */
  consumed = 0;
  /** The sender may send below this. */
  limit: number;
  #window: number;
  #acked = 0;
  #epochStart = 0;
  #epochAt = 0;
  readonly #budget: WindowBudget;
  readonly #initial: number;
  readonly #max: number;

  constructor(
    initial = INITIAL_WINDOW_BYTES,
    max = MAX_WINDOW_BYTES,
    budget: WindowBudget = processBudget,
  ) {
    this.#initial = this.#window = this.limit = initial;
    this.#max = max;
    this.#budget = budget;
  }

  get window(): number {
    return this.#window;
  }

  /** False: a gap, an overlap, or more than was allowed. The peer is broken. */
  accept(offset: number, bytes: number): boolean {
    if (offset !== this.received || offset + bytes > this.limit) return false;
    this.received += bytes;
    return true;
  }

  /** Fin takes an offset, and needs no credit. */
  acceptFin(offset: number): boolean {
    if (offset !== this.received) return false;
    this.received += 1;
    this.consumed += 1;
    return true;
  }

  /**
   * Bytes were handed on. True: a quarter of the window is used, a Credit is due
   * now; false: it can wait until the channel is silent.
   */
  consume(bytes: number, now: number, rttMs: number): boolean {
    this.consumed = Math.min(this.consumed + bytes, this.received);
    if (this.consumed - this.#acked < this.#window / 4) return false;
    this.#grow(now, rttMs);
    return true;
  }

  get owesCredit(): boolean {
    return this.consumed > this.#acked;
  }

  /** To be called when a Credit with `consumed` and `limit` is sent. */
  credited(): void {
    this.#acked = this.consumed;
    this.limit = Math.max(this.limit, this.consumed + this.#window);
  }

  /** Nobody will hand the rest on: it counts as if somebody had. */
  consumeAll(): void {
    this.consumed = this.received;
  }

  release(): void {
    this.#budget.give(this.#window - this.#initial);
    this.#window = this.#initial;
  }

  #grow(now: number, rttMs: number): void {
    if (this.consumed - this.#epochStart < this.#window) return;
    const fast = now - this.#epochAt <= 2 * rttMs;
    this.#epochStart = this.consumed;
    this.#epochAt = now;
    if (fast && this.#window < this.#max && this.#budget.take(this.#window)) this.#window *= 2;
  }
}

/** The sender's side of one direction. */
export class SendWindow {
  /** Next offset to send. */
  sent = 0;
  acked = 0;
  limit: number;

  constructor(initial = INITIAL_WINDOW_BYTES) {
    this.limit = initial;
  }

  get room(): number {
    return Math.max(0, this.limit - this.sent);
  }

  /** A new attachment begins: the other side has everything below `received`, and wants bytes below `limit`. */
  restart(received: number, limit: number): void {
    this.sent = this.acked = received;
    this.limit = limit;
  }

  /** False: acknowledges what was never sent. Old news is ignored: both numbers only grow. */
  update(acked: number, limit: number): boolean {
    if (acked > this.sent || acked > limit + 1) return false;
    if (acked > this.acked) this.acked = acked;
    if (limit > this.limit) this.limit = limit;
    return true;
  }
}
