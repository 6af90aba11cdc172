import { randomUUID } from 'node:crypto';
import type { Kysely } from 'kysely';
import type { ChangeFeed } from '../changes/feed.ts';
import type { Tables } from '../db/tables.ts';
import { AUTH_LIMITS } from './limits.ts';
import type { Principal } from './principal.ts';
import { hashSecret, isSecret, newSecret, sameText } from './secrets.ts';
import { principalOf } from './users.ts';
import { VerifiedCache } from './verified-cache.ts';

export interface Session {
  readonly id: string;
  readonly principal: Principal;
  /** Undefined: the control host. Else the exact authority (`host` or `host:port`) of one app host. */
  readonly host: string | undefined;
  readonly parentId: string | undefined;
  /** ms since the epoch. */
  readonly expiresAt: number;
}

export interface NewSession {
  /** The cookie's value. Returned here and never again. */
  readonly secret: string;
  readonly id: string;
  /** ms from now: the cookie's age. */
  readonly lifetimeMs: number;
}

type Maybe<T> = T | undefined | Promise<T | undefined>;

export interface Sessions {
  createControl(userId: string): Promise<NewSession>;
  /** Undefined: the parent has ended meanwhile. The new session ends with its parent, at the latest. */
  createApp(options: {
    userId: string;
    parentId: string;
    host: string;
  }): Promise<NewSession | undefined>;
  /** Synchronous when malformed or remembered. */
  verifyControl(secret: string): Maybe<Session>;
  /** A session of another host, or of the control host, is unknown here. */
  verifyApp(secret: string, host: string): Maybe<Session>;
  /** Ends a session and every session that came from it, at once here and within a second on other relays. */
  revoke(sessionId: string): Promise<void>;
  /** Signs a user out everywhere. */
  revokeUser(userId: string): Promise<void>;
}

export function createSessions(
  db: Kysely<Tables>,
  now: () => number,
  changed: () => void,
  changes: ChangeFeed,
): Sessions {
  const cache = new VerifiedCache<Session>({
    capacity: AUTH_LIMITS.cacheEntries,
    ttlMs: AUTH_LIMITS.cacheMs,
    now,
  });

  function forget(sessionId: string): void {
    cache.drop((session) => session.id === sessionId || session.parentId === sessionId);
    changed();
  }

  function forgetUser(userId: string): void {
    cache.drop((session) => session.principal.userId === userId);
    changed();
  }

  changes.subscribe(({ kind, subject }) => {
    if (kind === 'session') forget(subject);
    if (kind === 'sessions-of-user') forgetUser(subject);
  });

  async function load(hash: string): Promise<Session | undefined> {
    const row = await db
      .selectFrom('sessions')
      .innerJoin('users', 'users.id', 'sessions.user_id')
      .leftJoin('sessions as parent', 'parent.id', 'sessions.parent_id')
      .select([
        'sessions.id as session_id',
        'sessions.secret_hash',
        'sessions.host',
        'sessions.parent_id',
        'sessions.expires_at',
        'parent.id as living_parent',
        'users.id',
        'username',
        'admin',
      ])
      .where('sessions.secret_hash', '=', hash)
      .executeTakeFirst();
    if (row === undefined || !sameText(row.secret_hash, hash)) return undefined;
    // Does not lean on the database's cascade: without its parent a session is none.
    if (row.host !== null && row.living_parent === null) return undefined;
    return {
      id: row.session_id,
      principal: principalOf(row),
      host: row.host ?? undefined,
      parentId: row.parent_id ?? undefined,
      expiresAt: Number(row.expires_at),
    };
  }

  function verify(secret: string, host: string | undefined): Maybe<Session> {
    if (!isSecret(secret)) return undefined;
    const hash = hashSecret(secret);
    const good = (found: Session | undefined): Session | undefined =>
      found !== undefined && found.host === host && found.expiresAt > now() ? found : undefined;
    const found = cache.get(hash, () => load(hash));
    return found instanceof Promise ? found.then(good) : good(found);
  }

  async function insert(row: {
    user_id: string;
    host: string | null;
    parent_id: string | null;
    expires_at: number;
  }): Promise<NewSession> {
    const secret = newSecret();
    const id = randomUUID();
    await db
      .insertInto('sessions')
      .values({ id, secret_hash: hashSecret(secret), created_at: now(), ...row })
      .execute();
    return { secret, id, lifetimeMs: row.expires_at - now() };
  }

  return {
    createControl: (userId) =>
      insert({
        user_id: userId,
        host: null,
        parent_id: null,
        expires_at: now() + AUTH_LIMITS.sessionMs,
      }),

    async createApp({ userId, parentId, host }) {
      const parent = await db
        .selectFrom('sessions')
        .select(['expires_at'])
        .where('id', '=', parentId)
        .where('user_id', '=', userId)
        .where('host', 'is', null)
        .executeTakeFirst();
      if (parent === undefined || Number(parent.expires_at) <= now()) return undefined;
      return insert({
        user_id: userId,
        host,
        parent_id: parentId,
        expires_at: Number(parent.expires_at),
      });
    },

    verifyControl: (secret) => verify(secret, undefined),
    verifyApp: (secret, host) => verify(secret, host),

    async revoke(sessionId) {
      await db.transaction().execute(async (trx) => {
        await trx.deleteFrom('sessions').where('parent_id', '=', sessionId).execute();
        await trx.deleteFrom('sessions').where('id', '=', sessionId).execute();
        await changes.record(trx, now(), { kind: 'session', subject: sessionId });
      });
      forget(sessionId);
    },

    async revokeUser(userId) {
      await db.transaction().execute(async (trx) => {
        await trx
          .deleteFrom('sessions')
          .where('user_id', '=', userId)
          .where('host', 'is not', null)
          .execute();
        await trx.deleteFrom('sessions').where('user_id', '=', userId).execute();
        await changes.record(trx, now(), { kind: 'sessions-of-user', subject: userId });
      });
      forgetUser(userId);
    },
  };
}
