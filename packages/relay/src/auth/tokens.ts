import { randomUUID } from 'node:crypto';
import type { Kysely } from 'kysely';
import type { ChangeFeed } from '../changes/feed.ts';
import type { Change } from '../changes/record.ts';
import type { Tables } from '../db/tables.ts';
import type { Expiries } from './expiries.ts';
import { AUTH_LIMITS } from './limits.ts';
import type { Principal } from './principal.ts';
import { ACCESS_TOKEN_PREFIX, hashSecret, isAccessToken, newSecret, sameText } from './secrets.ts';
import { principalOf } from './users.ts';
import { VerifiedCache } from './verified-cache.ts';

export interface AccessTokenInfo {
  readonly id: string;
  readonly name: string;
  readonly createdAt: number;
  readonly expiresAt: number | undefined;
}

/** Personal access tokens: `burrow_pat_` and 256 random bits, stored as SHA-256. */
export interface AccessTokens {
  /** The plain token is returned here and never again. `expiresAt` is ms since the epoch; default: never. */
  create(
    userId: string,
    name: string,
    options?: { expiresAt?: number },
  ): Promise<{ readonly token: string; readonly id: string }>;
  /** Revokes the user's tokens of that name, then makes a new one. */
  replaceByName(
    userId: string,
    name: string,
    options?: { expiresAt?: number },
  ): Promise<{ readonly token: string; readonly id: string }>;
  list(userId: string): Promise<readonly AccessTokenInfo[]>;
  /** False: there was none of that id (for that user, when one is named). */
  revoke(id: string, userId?: string): Promise<boolean>;
  /** Synchronous when malformed or remembered. Undefined: malformed, unknown, expired or revoked. */
  verify(token: string): Principal | undefined | Promise<Principal | undefined>;
}

interface Verified {
  readonly id: string;
  readonly principal: Principal;
  readonly expiresAt: number;
}

export function createAccessTokens(
  db: Kysely<Tables>,
  now: () => number,
  expiries: Expiries,
  changed: () => void,
  changes: ChangeFeed,
): AccessTokens {
  const cache = new VerifiedCache<Verified>({
    capacity: AUTH_LIMITS.cacheEntries,
    ttlMs: AUTH_LIMITS.cacheMs,
    now,
  });

  async function load(hash: string): Promise<Verified | undefined> {
    const row = await db
      .selectFrom('access_tokens')
      .innerJoin('users', 'users.id', 'access_tokens.user_id')
      .select([
        'access_tokens.id as token_id',
        'token_hash',
        'expires_at',
        'users.id',
        'username',
        'admin',
      ])
      .where('token_hash', '=', hash)
      .executeTakeFirst();
    if (row === undefined || !sameText(row.token_hash, hash)) return undefined;
    const expiresAt = row.expires_at === null ? Infinity : Number(row.expires_at);
    if (expiresAt > now()) expiries.add(row.token_id, expiresAt);
    return { id: row.token_id, principal: principalOf(row), expiresAt };
  }

  const good = (found: Verified | undefined): Principal | undefined =>
    found !== undefined && found.expiresAt > now() ? found.principal : undefined;

  changes.subscribe(({ kind, subject }) => {
    if (kind === 'token') forget(new Set([subject]));
  });

  function forget(ids: ReadonlySet<string>): void {
    cache.drop((entry) => ids.has(entry.id));
    changed();
  }

  async function create(
    userId: string,
    name: string,
    options: { expiresAt?: number } = {},
  ): Promise<{ token: string; id: string }> {
    const token = ACCESS_TOKEN_PREFIX + newSecret();
    const id = randomUUID();
    await db
      .insertInto('access_tokens')
      .values({
        id,
        user_id: userId,
        name,
        token_hash: hashSecret(token),
        created_at: now(),
        expires_at: options.expiresAt ?? null,
      })
      .execute();
    return { token, id };
  }

  return {
    create,

    async replaceByName(userId, name, options) {
      const gone = await db.transaction().execute(async (trx) => {
        const rows = await trx
          .deleteFrom('access_tokens')
          .where('user_id', '=', userId)
          .where('name', '=', name)
          .returning('id')
          .execute();
        await changes.record(trx, now(), ...rows.map(({ id }) => revoked(id)));
        return rows;
      });
      forget(new Set(gone.map((row) => row.id)));
      return create(userId, name, options);
    },

    async list(userId) {
      const rows = await db
        .selectFrom('access_tokens')
        .select(['id', 'name', 'created_at', 'expires_at'])
        .where('user_id', '=', userId)
        .orderBy('created_at')
        .execute();
      return rows.map((row) => ({
        id: row.id,
        name: row.name,
        createdAt: Number(row.created_at),
        expiresAt: row.expires_at === null ? undefined : Number(row.expires_at),
      }));
    },

    async revoke(id, userId) {
      const gone = await db.transaction().execute(async (trx) => {
        let query = trx.deleteFrom('access_tokens').where('id', '=', id);
        if (userId !== undefined) query = query.where('user_id', '=', userId);
        const rows = await query.returning('id').execute();
        if (rows.length > 0) await changes.record(trx, now(), revoked(id));
        return rows.length > 0;
      });
      if (gone) forget(new Set([id]));
      return gone;
    },

    verify(token) {
      if (!isAccessToken(token)) return undefined;
      const hash = hashSecret(token);
      const found = cache.get(hash, () => load(hash));
      return found instanceof Promise ? found.then(good) : good(found);
    },
  };
}

function revoked(id: string): Change {
  return { kind: 'token', subject: id };
}
