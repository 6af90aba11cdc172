/** Delays between dials: protocol.md "Reconnect", exponential with full jitter, 1 s to 20 s. */
export const BASE_MS = 1000;
export const CAP_MS = 20_000;
/** The first retry after a link was lost: soon, yet spread, as many agents lose a relay at once. */
export const QUICK_MS = 500;
/** Full jitter may say "at once": never more often than this. */
export const FLOOR_MS = 50;
/**
 * A link that lived so long shows that a relay was well: one dial in so many
 * seconds is no storm, and relays that are replaced one after the other must not let the bound grow.
 */
export const STABLE_MS = 5_000;

/**
 * Besides the growing bound, no wait is longer than the trouble has lasted (but
 * at least 1 s may pass): an unlucky draw after a network failure of 5 s must
 * not keep people out for 16 s more.
 */
export class BackOff {
  readonly #random: () => number;
  readonly #now: () => number;
  #step = 0;
  #troubleSince: number | undefined;

  /** `random` answers in [0, 1), `now` in ms. */
  constructor(random: () => number, now: () => number) {
    this.#random = random;
    this.#now = now;
  }

  /** A dial failed. Returns ms to wait. */
  afterFailure(): number {
    this.#step = Math.max(this.#step, 1);
    return this.#next();
  }

  /** An established link, `livedMs` old, was lost. Returns ms to wait. */
  afterLoss(livedMs: number): number {
    if (livedMs >= STABLE_MS) this.reset();
    return this.#next();
  }

  reset(): void {
    this.#step = 0;
    this.#troubleSince = undefined;
  }

  #next(): number {
    const now = this.#now();
    this.#troubleSince ??= now;
    const bound = this.#step === 0 ? QUICK_MS : this.#bound(now - this.#troubleSince);
    this.#step = Math.min(this.#step + 1, 16);
    return Math.max(FLOOR_MS, Math.floor(this.#random() * bound));
  }

  #bound(troubleMs: number): number {
    return Math.min(CAP_MS, BASE_MS * 2 ** (this.#step - 1), Math.max(BASE_MS, troubleMs));
  }
}
