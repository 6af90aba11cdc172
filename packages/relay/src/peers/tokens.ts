import { createHmac, hkdfSync, randomBytes, timingSafeEqual } from 'node:crypto';
import { decodeJwt, errors, jwtVerify, SignJWT, type JWTPayload } from 'jose';
import { Challenges } from './challenges.ts';
import type { PeerSelf } from './contracts.ts';
import type { PeerLimits } from './limits.ts';
import { PeerRefused } from './refused.ts';
import { UsedTokens } from './used-tokens.ts';

/** What a token opens: one of these, once. */
export type PeerUse = 'link' | 'stats' | 'channels' | 'trace';

export interface PeerIdentity {
  readonly id: string;
  readonly incarnation: string;
}

/** Who signed a token that was accepted. */
export interface AcceptedPeer extends PeerIdentity {
  /** Shows the signer that it met a member of the cluster, whoever else may answer at an address. */
  readonly proof: string;
}

interface Keys {
  readonly sign: Uint8Array;
  readonly prove: Uint8Array;
}

const ALGORITHM = 'HS256';
/** RFC 8725 section 3.11: no other token signed with this key can be taken for one of these. */
const TYPE = 'burrow-peer+jwt';
/** RFC 8725 section 3.5; RFC 7518 section 3.2 asks for as many bits as the hash has. */
const MIN_SECRET_BYTES = 32;

type Claims = JWTPayload & { inc?: unknown; use?: unknown; chl?: unknown };

/**
 * Tokens of relays (RFC 7519), signed with a key that is derived from the cluster's
 * secret. Each is for one run of one relay, for seconds, and good once.
 */
export class PeerTokens {
  readonly challenges: Challenges;
  readonly #self: PeerSelf;
  readonly #keys: readonly Keys[];
  readonly #limits: PeerLimits;
  readonly #used: UsedTokens;
  readonly #now: () => number;

  constructor(
    self: PeerSelf,
    secrets: readonly string[],
    limits: PeerLimits,
    now: () => number = Date.now,
  ) {
    this.#self = self;
    this.#keys = secrets.map(keysOf);
    if (this.#keys.length === 0) throw new Error('a cluster needs a secret');
    this.#limits = limits;
    this.#now = now;
    this.challenges = new Challenges(limits.challengeMs);
    // A token's whole life as its acceptor sees it: by the clock, or by a challenge.
    const life = limits.tokenMs + 2 * limits.clockToleranceMs;
    this.#used = new UsedTokens(Math.max(life, limits.challengeMs), limits.usedTokens);
  }

  /** `challenge`: from the relay that the token is for, in place of a clock in common. */
  mint(target: PeerIdentity, use: PeerUse, challenge?: string): Promise<string> {
    const seconds = Math.floor(this.#now() / 1000);
    return new SignJWT({
      inc: this.#self.incarnation,
      use,
      ...(challenge === undefined ? {} : { chl: challenge }),
    })
      .setProtectedHeader({ alg: ALGORITHM, typ: TYPE })
      .setIssuer(this.#self.id)
      .setAudience(audienceOf(target))
      .setIssuedAt(seconds)
      .setExpirationTime(seconds + this.#limits.tokenMs / 1000)
      .setJti(randomBytes(16).toString('base64url'))
      .sign(this.#keys[0]!.sign);
  }

  /** Whether `proof` came from somebody who knows the secret that our own `token` was signed with. */
  isProof(proof: string, token: string): boolean {
    const expected = Buffer.from(proofOf(token, this.#keys[0]!.prove));
    const given = Buffer.from(proof);
    return given.length === expected.length && timingSafeEqual(given, expected);
  }

  /** Accepts a token, which is then used up. Rejects with PeerRefused. */
  async accept(token: string | undefined, use: PeerUse): Promise<AcceptedPeer> {
    if (token === undefined) throw malformed();
    const { claims, keys } = await this.#verified(token);
    const { iss, inc, jti } = claims;
    if (typeof iss !== 'string' || typeof inc !== 'string' || typeof jti !== 'string') {
      throw malformed();
    }
    if (claims.use !== use) {
      throw new PeerRefused('audience', 'token-unknown', `The token is not for ${use}.`);
    }
    switch (this.#used.use(jti)) {
      case 'again':
        throw new PeerRefused(
          'replayed',
          'token-unknown',
          'The token was used before; each is good once.',
        );
      case 'full':
        throw new PeerRefused(
          'full',
          'unavailable',
          `The relay “${this.#self.id}” is dialled too often; try again shortly.`,
        );
      case 'first':
        return { id: iss, incarnation: inc, proof: proofOf(token, keys.prove) };
    }
  }

  async #verified(token: string): Promise<{ claims: Claims; keys: Keys }> {
    let failure: unknown;
    for (const keys of this.#keys) {
      try {
        return { claims: await this.#verify(token, keys.sign), keys };
      } catch (error) {
        failure = error;
        if (!(error instanceof errors.JWSSignatureVerificationFailed)) break;
      }
    }
    throw this.#explained(failure);
  }

  async #verify(token: string, key: Uint8Array): Promise<Claims> {
    const { clockToleranceMs, tokenMs } = this.#limits;
    const { chl, iat } = decodeJwt<Claims>(token);
    // Not believed yet: only whether it is ours and fresh, which nobody else can make it.
    const fresh =
      typeof chl === 'string' && typeof iat === 'number' && this.challenges.isFresh(chl);
    const { payload } = await jwtVerify<Claims>(token, key, {
      algorithms: [ALGORITHM],
      typ: TYPE,
      audience: audienceOf(this.#self),
      requiredClaims: ['iss', 'aud', 'exp', 'iat', 'jti', 'inc', 'use'],
      maxTokenAge: tokenMs / 1000,
      clockTolerance: clockToleranceMs / 1000,
      currentDate: new Date(fresh ? iat * 1000 : this.#now()),
    });
    return payload;
  }

  #explained(error: unknown): unknown {
    if (error instanceof errors.JWSSignatureVerificationFailed) {
      return new PeerRefused(
        'signature',
        'token-unknown',
        'The token was not signed with the secret of this cluster: cluster.secret must be the same on every relay.',
      );
    }
    if (error instanceof errors.JWTClaimValidationFailed && error.claim === 'aud') {
      const { id, incarnation } = this.#self;
      return new PeerRefused(
        'audience',
        'token-unknown',
        `The token is for another relay, or for an earlier run of this one: here is “${id}”, run ${incarnation.slice(0, 8)}.`,
      );
    }
    const late =
      error instanceof errors.JWTExpired ||
      (error instanceof errors.JWTClaimValidationFailed && error.claim === 'iat');
    if (late) {
      return new PeerRefused(
        'expired',
        'token-expired',
        `The token is not of this moment by the clock of the relay “${this.#self.id}”: a clock is wrong, or the token is old.`,
      );
    }
    return error instanceof errors.JOSEError ? malformed() : error;
  }
}

function keysOf(secret: string): Keys {
  if (Buffer.byteLength(secret) < MIN_SECRET_BYTES) {
    throw new Error(`the cluster's secret is shorter than ${MIN_SECRET_BYTES} bytes`);
  }
  const derive = (what: string): Uint8Array =>
    new Uint8Array(hkdfSync('sha256', secret, 'burrow', what, 32));
  return { sign: derive('burrow peer token v1'), prove: derive('burrow peer proof v1') };
}

function proofOf(token: string, key: Uint8Array): string {
  return createHmac('sha256', key).update(token).digest('base64url');
}

function audienceOf(relay: PeerIdentity): string {
  return `${relay.id}/${relay.incarnation}`;
}

function malformed(): PeerRefused {
  return new PeerRefused(
    'malformed',
    'token-malformed',
    'This port is for relays of one cluster: metadata `authorization: Bearer <peer token>` is required.',
  );
}
