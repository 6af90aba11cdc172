import type { MaybePromise } from '../auth/maybe-promise.ts';

/** Something open that was allowed when it was opened. */
export interface Held {
  /** Ends whatever is no longer allowed. Rejecting means: nobody could say, ask again. */
  look(): MaybePromise<void>;
}

/** Asks again and again whether what is open may stay so. One timer for all. */
export class AccessWatch {
  readonly #held = new Set<Held>();
  readonly #asking = new Set<Held>();
  readonly #everyMs: number;
  #timer: NodeJS.Timeout | undefined;

  constructor(everyMs: number) {
    this.#everyMs = everyMs;
  }

  add(held: Held): void {
    this.#held.add(held);
    this.#timer ??= setInterval(() => this.#tick(), this.#everyMs).unref();
  }

  remove(held: Held): void {
    this.#held.delete(held);
    if (this.#held.size === 0) this.stop();
  }

  /** Idempotent. */
  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #tick(): void {
    for (const held of this.#held) {
      if (this.#asking.has(held)) continue;
      try {
        const looking = held.look();
        if (!(looking instanceof Promise)) continue;
        this.#asking.add(held);
        // The database is in trouble: nobody said no. Asked again at the next tick.
        void looking.catch(() => {}).finally(() => this.#asking.delete(held));
      } catch {
        // As above.
      }
    }
  }
}
