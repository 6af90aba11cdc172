/** Ids of tokens that were accepted, until they would have ended anyway. */
export class UsedTokens {
  /** Ids and when they may be forgotten, by the monotonic clock; in the order of both. */
  readonly #until = new Map<string, number>();
  readonly #keepMs: number;
  readonly #max: number;

  constructor(keepMs: number, max: number) {
    this.#keepMs = keepMs;
    this.#max = max;
  }

  get size(): number {
    return this.#until.size;
  }

  /** `full`: nothing more can be remembered, so nothing more may be accepted. */
  use(id: string, now = performance.now()): 'first' | 'again' | 'full' {
    for (const [old, until] of this.#until) {
      if (until > now) break;
      this.#until.delete(old);
    }
    if (this.#until.has(id)) return 'again';
    if (this.#until.size >= this.#max) return 'full';
    this.#until.set(id, now + this.#keepMs);
    return 'first';
  }
}
