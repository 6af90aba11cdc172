import { Fifo } from './fifo.ts';

/** Something with bytes to send: a channel's sending side, or a switch's leg. */
export interface Sender {
  /** Bytes (or a Fin) that could leave now, credit permitting. */
  readonly sendable: boolean;
  isBulk(now: number): boolean;
}

/**
 * Whose turn it is on one link: interactive senders first, round robin within
 * each class. A sender that has nothing sendable left simply is not put back;
 * it returns through `add` once it has.
 */
export class Scheduler<S extends Sender> {
  readonly #interactive = new Fifo<S>();
  readonly #bulk = new Fifo<S>();
  readonly #known = new Set<S>();

  /** Idempotent while the sender waits for its turn. */
  add(sender: S, now: number): void {
    if (this.#known.has(sender)) return;
    this.#known.add(sender);
    (sender.isBulk(now) ? this.#bulk : this.#interactive).push(sender);
  }

  remove(sender: S): void {
    // It is skipped when its turn comes: searching queues would cost more.
    this.#known.delete(sender);
  }

  get hasInteractive(): boolean {
    return this.#interactive.size > 0;
  }

  get hasBulk(): boolean {
    return this.#bulk.size > 0;
  }

  /** The next interactive sender; it leaves the queue. One found to have become bulk moves over. */
  nextInteractive(now: number): S | undefined {
    for (;;) {
      const sender = this.#interactive.shift();
      if (sender === undefined) return undefined;
      if (!this.#known.has(sender)) continue;
      if (sender.isBulk(now)) {
        this.#bulk.push(sender);
        continue;
      }
      this.#known.delete(sender);
      return sender;
    }
  }

  nextBulk(): S | undefined {
    for (;;) {
      const sender = this.#bulk.shift();
      if (sender === undefined) return undefined;
      if (!this.#known.delete(sender)) continue;
      return sender;
    }
  }
}
