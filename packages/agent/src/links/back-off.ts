/** Delays between dials: protocol.md "Reconnect", exponential with full jitter, 1 s to 20 s. */
export const BASE_MS = 1000;
export const CAP_MS = 20_000;
/** The first retry after a link was lost: soon, yet spread, as many agents lose a relay at once. */
export const QUICK_MS = 500;
/** Full jitter may say "at once": never more often than this. */
export const FLOOR_MS = 50;
/** A link that lived so long shows that the relay is well. */
export const STABLE_MS = 30_000;

export class BackOff {
  readonly #random: () => number;
  #step = 0;

  /** `random` answers in [0, 1). */
  constructor(random: () => number) {
    this.#random = random;
  }

  /** A dial failed. Returns ms to wait. */
  afterFailure(): number {
    this.#step = Math.max(this.#step, 1);
    return this.#next();
  }

  /** An established link, `livedMs` old, was lost. Returns ms to wait. */
  afterLoss(livedMs: number): number {
    if (livedMs >= STABLE_MS) this.#step = 0;
    return this.#next();
  }

  reset(): void {
    this.#step = 0;
  }

  #next(): number {
    const bound = this.#step === 0 ? QUICK_MS : Math.min(CAP_MS, BASE_MS * 2 ** (this.#step - 1));
    this.#step = Math.min(this.#step + 1, 16);
    return Math.max(FLOOR_MS, Math.floor(this.#random() * bound));
  }
}
