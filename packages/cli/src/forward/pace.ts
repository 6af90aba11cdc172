import { setTimeout as sleep } from 'node:timers/promises';

/** A bucket that holds one second's worth: who comes when it is empty waits for their turn, in order. */
export class Pace {
  readonly #perSecond: number;
  readonly #now: () => number;
  /** When the bucket is full again, in ms. */
  #fullAt = 0;

  constructor(perSecond: number, now: () => number = () => performance.now()) {
    this.#perSecond = perSecond;
    this.#now = now;
  }

  /** Takes a place; in so many ms it is one's turn. */
  take(): number {
    const now = this.#now();
    const each = 1000 / this.#perSecond;
    this.#fullAt = Math.max(this.#fullAt, now) + each;
    return Math.max(0, this.#fullAt - now - 1000);
  }

  /** Resolves when it is one's turn; rejects with the signal's reason. */
  async turn(signal: AbortSignal): Promise<void> {
    const ms = this.take();
    if (ms > 0) await sleep(ms, undefined, { signal });
  }
}
