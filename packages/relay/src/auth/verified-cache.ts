/**
 * A bounded memory of database answers. A hit is synchronous. `drop` takes
 * effect at once, also for look-ups that are on their way: their answer is
 * given to whoever asked before the drop, but never remembered.
 */
export class VerifiedCache<T extends object> {
  readonly #entries = new Map<string, { readonly value: T; readonly until: number }>();
  readonly #running = new Map<string, Promise<T | undefined>>();
  readonly #capacity: number;
  readonly #ttlMs: number;
  readonly #now: () => number;
  #generation = 0;

  constructor(options: { capacity: number; ttlMs: number; now: () => number }) {
    this.#capacity = options.capacity;
    this.#ttlMs = options.ttlMs;
    this.#now = options.now;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** The remembered value, or the look-up's promise. Concurrent look-ups of one key are made once. */
  get(key: string, load: () => Promise<T | undefined>): T | Promise<T | undefined> {
    const entry = this.#entries.get(key);
    if (entry !== undefined) {
      if (entry.until > this.#now()) return entry.value;
      this.#entries.delete(key);
    }
    const running = this.#running.get(key);
    if (running !== undefined) return running;
    const generation = this.#generation;
    const promise = load()
      .then((value) => {
        if (value !== undefined && generation === this.#generation) this.#put(key, value);
        return value;
      })
      .finally(() => {
        if (this.#running.get(key) === promise) this.#running.delete(key);
      });
    this.#running.set(key, promise);
    return promise;
  }

  /** Forgets every value that matches, and whatever is being looked up. */
  drop(matches: (value: T) => boolean): void {
    this.#generation += 1;
    this.#running.clear();
    for (const [key, entry] of this.#entries) if (matches(entry.value)) this.#entries.delete(key);
  }

  #put(key: string, value: T): void {
    if (this.#entries.size >= this.#capacity) {
      const oldest = this.#entries.keys().next();
      if (oldest.done !== true) this.#entries.delete(oldest.value);
    }
    this.#entries.set(key, { value, until: this.#now() + this.#ttlMs });
  }
}
