import { RelayError } from '../errors.ts';

/** How long a statement or a transaction waits for another transaction to end, ms. */
const WAIT_MS = 15_000;

interface Waiter {
  readonly go: () => void;
}

/**
 * One connection serves everybody: statements flow freely until somebody
 * begins a transaction, then all others wait for it to end. Asking for the
 * outer database inside a transaction would wait for itself, so the wait is bounded.
 */
export class TransactionGate {
  #holder: object | undefined;
  readonly #waiters: Waiter[] = [];

  /** Resolves when `who` may run a statement. Undefined: now. */
  pass(who: object): Promise<void> | undefined {
    if (this.#holder === who || (this.#holder === undefined && this.#waiters.length === 0)) {
      return undefined;
    }
    return this.#wait();
  }

  async enter(who: object): Promise<void> {
    while (this.#holder !== undefined) await this.#wait();
    this.#holder = who;
  }

  leave(who: object): void {
    if (this.#holder !== who) return;
    this.#holder = undefined;
    for (const waiter of this.#waiters.splice(0)) waiter.go();
  }

  #wait(): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        go: () => {
          clearTimeout(timer);
          resolve();
        },
      };
      const timer = setTimeout(() => {
        this.#waiters.splice(this.#waiters.indexOf(waiter), 1);
        reject(
          new RelayError('unavailable', 'The database was busy with another transaction.', {
            retryAfter: 1,
          }),
        );
      }, WAIT_MS);
      this.#waiters.push(waiter);
    });
  }
}
