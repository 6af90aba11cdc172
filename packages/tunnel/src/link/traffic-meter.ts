import type { Traffic } from '../types.ts';

interface Allowance {
  readonly burst: number;
  readonly perMs: number;
}

const KiB = 1024;
/** What may be sent with priority: a burst, and a rate in bytes per ms. Beyond it the channel counts as bulk. */
const ALLOWANCES: Readonly<Record<Traffic, Allowance>> = {
  auto: { burst: 256 * KiB, perMs: 1 * KiB },
  interactive: { burst: 1024 * KiB, perMs: 2 * KiB },
  bulk: { burst: 0, perMs: 0 },
};

/**
 * Tells by a token bucket whether a channel behaves as bulk, whatever it was
 * declared to be: otherwise one copy declared interactive would starve the rest.
 */
export class TrafficMeter {
  #allowance: Allowance;
  #tokens: number;
  #at = 0;
  #bulk: boolean;

  constructor(traffic: Traffic) {
    this.#allowance = ALLOWANCES[traffic];
    this.#tokens = this.#allowance.burst;
    this.#bulk = traffic === 'bulk';
  }

  set(traffic: Traffic): void {
    if (this.#allowance === ALLOWANCES[traffic]) return;
    this.#allowance = ALLOWANCES[traffic];
    this.#tokens = this.#allowance.burst;
    this.#bulk = traffic === 'bulk';
  }

  sent(bytes: number, now: number): void {
    const { burst, perMs } = this.#allowance;
    if (burst === 0) return;
    this.#tokens = Math.min(burst, this.#tokens + (now - this.#at) * perMs) - bytes;
    this.#at = now;
    if (this.#tokens <= 0) {
      this.#bulk = true;
      this.#tokens = Math.max(this.#tokens, -burst);
    } else if (this.#tokens >= burst / 2) this.#bulk = false;
  }

  isBulk(now: number): boolean {
    if (this.#bulk && this.#allowance.burst > 0) this.sent(0, now);
    return this.#bulk;
  }
}
