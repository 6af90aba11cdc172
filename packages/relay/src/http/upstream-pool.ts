/**
 * Upstream connections, kept alive between requests. One key is one user, one
 * agent, one port and its protocol: a channel is opened in a person's name, so
 * nobody else's request may use it.
 */
import type { ByteStream } from './byte-stream.ts';
import type { UpstreamOwner } from './upstream-h1.ts';
import { H1Upstream } from './upstream-h1.ts';
import type { ResponseHead } from './h1-response.ts';
import type { ResponseRules } from './headers.ts';
import type { HttpLimits } from './limits.ts';
import type { H2cSession } from './upstream-h2c.ts';

/** Hosts and CORS answers of one key whose serialised heads are worth sharing. */
const MAX_RULES = 16;

export class Bucket implements UpstreamOwner {
  lastHeadText = '';
  lastHead: ResponseHead | undefined;
  /** Serialised form of `lastHead` for `outRules`, per variant of connection. */
  outHead: ResponseHead | undefined;
  outRules: ResponseRules | undefined;
  readonly outTexts: (string | undefined)[] = [];
  /** HTTP/2 sessions of an h2c port. */
  readonly sessions: H2cSession[] = [];

  readonly key: string;
  readonly limits: HttpLimits;
  /** Least recently used first. */
  readonly idle: H1Upstream[] = [];
  readonly #pool: UpstreamPool;
  readonly #rules: ResponseRules[] = [];

  /** The pool's clock, monotonic ms. */
  readonly now: () => number;

  constructor(key: string, pool: UpstreamPool) {
    this.key = key;
    this.limits = pool.limits;
    this.now = pool.now;
    this.#pool = pool;
  }

  /** The same object for equal rules, so that serialised heads can be shared. */
  rules(wanted: ResponseRules): ResponseRules {
    for (const known of this.#rules) {
      if (
        known.host === wanted.host &&
        known.guardCookies === wanted.guardCookies &&
        known.origin?.from === wanted.origin?.from &&
        known.origin?.to === wanted.origin?.to &&
        known.set.length === wanted.set.length &&
        known.set.every((value, i) => value === wanted.set[i])
      ) {
        return known;
      }
    }
    if (this.#rules.length >= MAX_RULES) this.#rules.shift();
    this.#rules.push(wanted);
    return wanted;
  }

  adopt(stream: ByteStream): H1Upstream {
    const upstream = new H1Upstream(stream, this);
    stream.setHandler(upstream);
    return upstream;
  }

  addSession(session: H2cSession): void {
    this.sessions.push(session);
    this.#pool.keep(this);
  }

  release(upstream: H1Upstream): void {
    this.#pool.release(this, upstream);
  }

  forget(upstream: H1Upstream): void {
    const index = this.idle.indexOf(upstream);
    if (index === -1) return;
    this.idle.splice(index, 1);
    this.#pool.left();
  }
}

export class UpstreamPool {
  readonly limits: HttpLimits;
  readonly now: () => number;
  readonly #buckets = new Map<string, Bucket>();
  /** Those with idle connections or sessions; a cached route may hold one that has left `#buckets`. */
  readonly #active = new Set<Bucket>();
  #idle = 0;
  #closed = false;

  constructor(limits: HttpLimits, now: () => number) {
    this.limits = limits;
    this.now = now;
  }

  get idle(): number {
    return this.#idle;
  }

  bucket(key: string): Bucket {
    let bucket = this.#buckets.get(key);
    if (bucket === undefined) {
      bucket = new Bucket(key, this);
      this.#buckets.set(key, bucket);
    }
    return bucket;
  }

  /**
   * An idle connection, the most recently used one. `repeatable`: the request is
   * sent again when the app closes the connection at the same moment; any other
   * request gets only a connection that was used within the last second.
   */
  take(bucket: Bucket, repeatable: boolean): H1Upstream | undefined {
    const idle = bucket.idle;
    for (;;) {
      const upstream = idle[idle.length - 1];
      if (upstream === undefined) return undefined;
      const age = this.now() - upstream.idleSince;
      if (age > (repeatable ? this.limits.upstreamIdleMs : this.limits.unsafeIdleMs)) {
        return undefined;
      }
      idle.pop();
      this.#idle--;
      if (upstream.usable) return upstream;
      upstream.close();
    }
  }

  release(bucket: Bucket, upstream: H1Upstream): void {
    if (
      this.#closed ||
      !upstream.usable ||
      this.#idle >= this.limits.idleTotal ||
      bucket.idle.length >= this.limits.idlePerKey
    ) {
      upstream.close();
      return;
    }
    upstream.idleSince = this.now();
    bucket.idle.push(upstream);
    this.#idle++;
    this.#active.add(bucket);
  }

  /** The bucket has a session to be swept. */
  keep(bucket: Bucket): void {
    this.#active.add(bucket);
  }

  left(): void {
    this.#idle--;
  }

  /**
   * Closes what was idle too long or is carried by a link that drains, forgets empty
   * keys. Called twice a second.
   */
  sweep(): void {
    const oldest = this.now() - this.limits.upstreamIdleMs;
    for (const bucket of this.#buckets.values()) {
      if (!this.#active.has(bucket)) this.#buckets.delete(bucket.key);
    }
    for (const bucket of this.#active) {
      // Backwards: closing removes.
      for (let i = bucket.idle.length - 1; i >= 0; i--) {
        const upstream = bucket.idle[i] as H1Upstream;
        if (upstream.idleSince <= oldest || !upstream.usable) upstream.close();
      }
      for (const session of bucket.sessions.slice()) session.sweep(oldest);
      if (bucket.idle.length === 0 && bucket.sessions.length === 0) {
        this.#active.delete(bucket);
      }
    }
  }

  close(): void {
    this.#closed = true;
    for (const bucket of this.#active) {
      for (const upstream of bucket.idle.slice()) upstream.close();
      for (const session of bucket.sessions.slice()) session.close();
    }
    this.#buckets.clear();
    this.#active.clear();
  }
}
