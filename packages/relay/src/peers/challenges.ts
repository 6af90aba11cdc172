import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

const RANDOM_BYTES = 16;
const TIME_BYTES = 8;
const MAC_BYTES = 32;

/**
 * Proof of freshness that needs no clock in common: who signs over a challenge has
 * signed within the last seconds by *our* clock. Nothing is kept: a challenge
 * carries its time under a key of this process. (That it is good only once is
 * up to the token's own id.)
 */
export class Challenges {
  readonly #key = randomBytes(32);
  readonly #validMs: number;

  constructor(validMs: number) {
    this.#validMs = validMs;
  }

  issue(): string {
    const body = Buffer.alloc(TIME_BYTES + RANDOM_BYTES);
    body.writeDoubleBE(performance.now());
    randomBytes(RANDOM_BYTES).copy(body, TIME_BYTES);
    return Buffer.concat([body, this.#mac(body)]).toString('base64url');
  }

  isFresh(challenge: string): boolean {
    const given = Buffer.from(challenge, 'base64url');
    if (given.length !== TIME_BYTES + RANDOM_BYTES + MAC_BYTES) return false;
    const body = given.subarray(0, TIME_BYTES + RANDOM_BYTES);
    if (!timingSafeEqual(given.subarray(body.length), this.#mac(body))) return false;
    const age = performance.now() - body.readDoubleBE();
    return age >= 0 && age <= this.#validMs;
  }

  #mac(body: Buffer): Buffer {
    return createHmac('sha256', this.#key).update(body).digest();
  }
}
