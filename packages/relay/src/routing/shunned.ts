import { REGISTRY_LIMITS } from './limits.ts';

/**
 * Relays that could not be reached: each failed dial has them left alone twice as
 * long as before, up to the lease of a dead one, so that nothing is tried in a loop and
 * one that only stumbled is soon used again.
 */
export class Shunned {
  readonly #relays = new Map<string, { until: number; forMs: number }>();
  readonly #mostMs: number;
  readonly #now: () => number;

  /** `now`: ms, monotonic. */
  constructor(mostMs: number, now: () => number) {
    this.#mostMs = mostMs;
    this.#now = now;
  }

  has(incarnation: string): boolean {
    const known = this.#relays.get(incarnation);
    return known !== undefined && known.until > this.#now();
  }

  failed(incarnation: string): void {
    const known = this.#relays.get(incarnation);
    // Several may have waited for the same dial.
    if (known !== undefined && known.until > this.#now()) return;
    const forMs = Math.min(
      this.#mostMs,
      known === undefined ? REGISTRY_LIMITS.shunMs : known.forMs * 2,
    );
    const [oldest] = this.#relays.keys();
    if (this.#relays.size >= REGISTRY_LIMITS.shunned && oldest !== undefined)
      this.#relays.delete(oldest);
    this.#relays.delete(incarnation);
    this.#relays.set(incarnation, { until: this.#now() + forMs, forMs });
  }

  reached(incarnation: string): void {
    this.#relays.delete(incarnation);
  }
}
