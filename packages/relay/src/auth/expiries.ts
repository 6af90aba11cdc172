/**
 * When credentials that were seen as good will end by themselves, so that what
 * lives on them can be looked at again. Bounded: the one added longest ago is
 * forgotten first. No timer: whoever asks brings the time.
 */
export class Expiries {
  readonly #ends = new Map<string, number>();
  readonly #capacity: number;
  #next = Infinity;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** `at`: ms since the epoch. */
  add(id: string, at: number): void {
    if (!Number.isFinite(at)) return;
    this.#ends.delete(id);
    if (this.#ends.size >= this.#capacity) {
      const oldest = this.#ends.keys().next();
      if (oldest.done !== true) this.#ends.delete(oldest.value);
    }
    this.#ends.set(id, at);
    this.#next = Math.min(this.#next, at);
  }

  /** Forgets those that have ended; true when there was one. */
  passed(now: number): boolean {
    if (now < this.#next) return false;
    let some = false;
    this.#next = Infinity;
    for (const [id, at] of this.#ends) {
      if (at > now) {
        this.#next = Math.min(this.#next, at);
        continue;
      }
      this.#ends.delete(id);
      some = true;
    }
    return some;
  }
}
