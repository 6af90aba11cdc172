import type { Kysely } from 'kysely';
import { AUTH_LIMITS } from './limits.ts';
import { isReturnPath } from './return-path.ts';
import { hashSecret, isSecret, newSecret, sameText } from './secrets.ts';
import type { AuthTables, SignInCodeRow } from './tables.ts';

/** One-time sign-in links: valid for 15 minutes, once. */
export interface SignInLinks {
  /** `returnTo` is a path of the control host; default `/`. */
  create(options: {
    userId: string;
    returnTo?: string;
  }): Promise<{ readonly code: string; readonly expiresAt: number }>;
  /** Takes the code away. Undefined: malformed, unknown, used or expired. */
  consume(
    code: string,
  ): Promise<{ readonly userId: string; readonly returnTo: string } | undefined>;
}

/**
 * Hand-over codes carry a signed-in person from the control host to one app
 * host. A code lives for 10 s, works once, on that exact host, and only with the
 * nonce whose SHA-256 is the challenge: a stolen URL is worth nothing.
 */
export interface HandOver {
  create(options: {
    userId: string;
    sessionId: string;
    /** Exact authority of the app host. */
    host: string;
    /** base64url SHA-256 of the nonce. */
    challenge: string;
    /** Path on the app host. */
    returnTo: string;
  }): Promise<string>;
  /**
   * Takes the code away, whatever comes of it. `wrong-nonce`: right host, but the
   * browser holds none of the nonces (another tab began a hand-over meanwhile).
   */
  redeem(options: { code: string; host: string; nonces: readonly string[] }): Promise<
    | {
        readonly kind: 'ok';
        readonly userId: string;
        readonly sessionId: string;
        readonly returnTo: string;
      }
    | { readonly kind: 'wrong-nonce'; readonly returnTo: string }
    | { readonly kind: 'unknown' }
  >;
}

export interface SignInCodes {
  readonly links: SignInLinks;
  readonly handOver: HandOver;
}

export function createSignInCodes(db: Kysely<AuthTables>, now: () => number): SignInCodes {
  async function insert(row: Omit<SignInCodeRow, 'code_hash'>): Promise<string> {
    if (!isReturnPath(row.return_to)) throw new TypeError('returnTo must be an absolute path');
    const code = newSecret();
    await db
      .insertInto('sign_in_codes')
      .values({ code_hash: hashSecret(code), ...row })
      .execute();
    return code;
  }

  /** One statement reads and removes: of two redeemers at once, one gets the row. */
  async function take(
    kind: SignInCodeRow['kind'],
    code: string,
  ): Promise<SignInCodeRow | undefined> {
    if (!isSecret(code)) return undefined;
    const hash = hashSecret(code);
    const row = await db
      .deleteFrom('sign_in_codes')
      .where('code_hash', '=', hash)
      .where('kind', '=', kind)
      .returningAll()
      .executeTakeFirst();
    if (row === undefined || !sameText(row.code_hash, hash)) return undefined;
    return Number(row.expires_at) > now() ? row : undefined;
  }

  const links: SignInLinks = {
    async create({ userId, returnTo = '/' }) {
      const expiresAt = now() + AUTH_LIMITS.signInLinkMs;
      const code = await insert({
        kind: 'link',
        user_id: userId,
        return_to: returnTo,
        session_id: null,
        host: null,
        challenge: null,
        expires_at: expiresAt,
      });
      return { code, expiresAt };
    },

    async consume(code) {
      const row = await take('link', code);
      return row && { userId: row.user_id, returnTo: row.return_to };
    },
  };

  const handOver: HandOver = {
    create: ({ userId, sessionId, host, challenge, returnTo }) =>
      insert({
        kind: 'hand-over',
        user_id: userId,
        return_to: returnTo,
        session_id: sessionId,
        host,
        challenge,
        expires_at: now() + AUTH_LIMITS.handOverMs,
      }),

    async redeem({ code, host, nonces }) {
      const row = await take('hand-over', code);
      if (row === undefined || row.host !== host || row.session_id === null) {
        return { kind: 'unknown' };
      }
      const challenge = row.challenge ?? '';
      const known = nonces.some(
        (nonce) => isSecret(nonce) && sameText(hashSecret(nonce), challenge),
      );
      if (!known) return { kind: 'wrong-nonce', returnTo: row.return_to };
      return {
        kind: 'ok',
        userId: row.user_id,
        sessionId: row.session_id,
        returnTo: row.return_to,
      };
    },
  };

  return { links, handOver };
}
