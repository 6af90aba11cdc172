import { isIPv6 } from 'node:net';

interface Bucket {
  left: number;
  at: number;
}

/**
 * Failed sign-ins by key (an address, or what they were aimed at): a token bucket each, in a bounded
 * table (the key seen longest ago is forgotten first).
 */
export class AttemptLimit {
  readonly #buckets = new Map<string, Bucket>();
  readonly #attempts: number;
  readonly #refillMs: number;
  readonly #keys: number;
  readonly #now: () => number;

  constructor(options: { attempts: number; refillMs: number; keys: number; now: () => number }) {
    this.#attempts = options.attempts;
    this.#refillMs = options.refillMs;
    this.#keys = options.keys;
    this.#now = options.now;
  }

  get size(): number {
    return this.#buckets.size;
  }

  /**
   * Takes one attempt before it is made, so that many at once cannot slip
   * through. Returns 0 when allowed, else the seconds to wait.
   */
  take(key: string): number {
    const now = this.#now();
    const bucket = this.#buckets.get(key) ?? { left: this.#attempts, at: now };
    this.#buckets.delete(key);
    const refilled = Math.max(0, Math.floor((now - bucket.at) / this.#refillMs));
    bucket.left = Math.min(this.#attempts, bucket.left + refilled);
    bucket.at = bucket.left === this.#attempts ? now : bucket.at + refilled * this.#refillMs;
    if (this.#buckets.size >= this.#keys) {
      const oldest = this.#buckets.keys().next();
      if (oldest.done !== true) this.#buckets.delete(oldest.value);
    }
    this.#buckets.set(key, bucket);
    if (bucket.left <= 0) {
      const again = bucket.at + (1 - bucket.left) * this.#refillMs;
      return Math.max(1, Math.ceil((again - now) / 1000));
    }
    bucket.left -= 1;
    return 0;
  }

  /** `take` has refused, and the attempt is made all the same: it counts as those that were allowed. */
  owe(key: string): void {
    const bucket = this.#buckets.get(key);
    if (bucket !== undefined) bucket.left -= 1;
  }

  /** The attempt succeeded: it does not count. */
  giveBack(key: string): void {
    const bucket = this.#buckets.get(key);
    if (bucket !== undefined) bucket.left = Math.min(this.#attempts, bucket.left + 1);
  }
}

/** What counts as one client: an IPv4 address, or the /64 of an IPv6 one, which is what one customer gets. */
export function addressGroup(address: string): string {
  const plain = address.split('%', 1)[0] ?? address;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(plain);
  if (mapped?.[1] !== undefined) return mapped[1];
  if (!isIPv6(plain)) return plain;
  // URL writes an address in its one shortest form; then the first four groups.
  const short = new URL(`http://[${plain}]`).hostname.slice(1, -1);
  const [head = '', tail] = short.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : 8 - left.length - right.length;
  const groups = [...left, ...Array.from({ length: zeros }, () => '0'), ...right];
  return `${groups.slice(0, 4).join(':')}::/64`;
}
