const SAMPLE_EVERY_MS = 250;

/** Smoothed round trip of a link (RFC 6298's first moment: 7/8 old, 1/8 new). */
export class RttEstimator {
  smoothedMs: number | undefined;
  #token = 0;
  #sentAt = -Infinity;

  /** True when a new sample would be welcome and none is under way. */
  due(now: number): boolean {
    return this.#token === 0 && now - this.#sentAt >= SAMPLE_EVERY_MS;
  }

  onPing(token: number, now: number): void {
    this.#token = token;
    this.#sentAt = now;
  }

  onPong(token: number, now: number): void {
    if (token !== this.#token) return;
    this.#token = 0;
    const sample = now - this.#sentAt;
    this.smoothedMs = this.smoothedMs === undefined ? sample : (this.smoothedMs * 7 + sample) / 8;
  }
}
