import { IDLE_CREDIT_MS } from '../limits.ts';
import type { Batch } from '../wire/encode.ts';
import type { Endpoint } from './endpoint.ts';

/** The endpoints of one link that owe their peers a Credit: with the next batch, or at the latest in IDLE_CREDIT_MS. */
export class OwedCredits {
  readonly #now = new Set<Endpoint>();
  readonly #later = new Set<Endpoint>();
  readonly #onDue: () => void;
  #timer: NodeJS.Timeout | undefined;

  /** `onDue`: some that could wait can do so no more. */
  constructor(onDue: () => void) {
    this.#onDue = onDue;
  }

  /** Some are to leave with the next batch. */
  get due(): boolean {
    return this.#now.size > 0;
  }

  now(endpoint: Endpoint): void {
    this.#now.add(endpoint);
  }

  later(endpoint: Endpoint): void {
    this.#later.add(endpoint);
    this.#timer ??= setTimeout(this.#expire, IDLE_CREDIT_MS).unref();
  }

  forget(endpoint: Endpoint): void {
    this.#now.delete(endpoint);
    this.#later.delete(endpoint);
  }

  emit(batch: Batch): void {
    if (this.#now.size === 0) return;
    for (const endpoint of this.#now) {
      this.#later.delete(endpoint);
      endpoint.emitCredit(batch);
    }
    this.#now.clear();
  }

  /** Nothing is owed any more. Idempotent. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#now.clear();
    this.#later.clear();
  }

  readonly #expire = (): void => {
    this.#timer = undefined;
    for (const endpoint of this.#later) this.#now.add(endpoint);
    this.#later.clear();
    this.#onDue();
  };
}
