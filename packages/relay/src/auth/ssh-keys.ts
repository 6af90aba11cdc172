import { randomUUID } from 'node:crypto';
import { parsePublicKey, PublicKeyError, type PublicKey } from '@burrow/ssh';
import type { Kysely } from 'kysely';
import type { ChangeFeed } from '../changes/feed.ts';
import type { Tables } from '../db/tables.ts';
import { RelayError } from '../errors.ts';
import type { Expiries } from './expiries.ts';
import { AUTH_LIMITS } from './limits.ts';
import type { Principal } from './principal.ts';
import type { SshKeyRow } from './tables.ts';
import { principalOf } from './users.ts';
import { VerifiedCache } from './verified-cache.ts';

export interface SshKey {
  readonly id: string;
  readonly title: string;
  /** `<type> <base64>`. */
  readonly key: string;
  /** `SHA256:…` */
  readonly fingerprint: string;
  /** Times are ms since the epoch. */
  readonly createdAt: number;
  readonly expiresAt: number | undefined;
  readonly lastUsedAt: number | undefined;
}

/** Whose key it is. */
export interface KnownKey {
  readonly keyId: string;
  readonly principal: Principal;
  /** ms since the epoch; Infinity: never. */
  readonly expiresAt: number;
}

/** The public keys of people's accounts, for signing in by SSH. */
export interface SshKeys {
  /**
   * Rejects with RelayError `bad-request` (no usable public key, or already expired), `conflict` (it belongs
   * to an account; whose is not said) or `forbidden` (50 are there).
   */
  add(
    userId: string,
    key: { title: string; key: string; expiresAt?: number | undefined },
  ): Promise<SshKey>;
  /** Oldest first, expired ones too. */
  list(userId: string): Promise<readonly SshKey[]>;
  /** Undefined: that user has none of that id. */
  find(id: string, userId: string): Promise<SshKey | undefined>;
  /** The key that was removed. Undefined: that user has none of that id. */
  remove(id: string, userId: string): Promise<SshKey | undefined>;
  /** Synchronous when malformed or remembered. Undefined: unknown, expired or removed. */
  findByFingerprint(fingerprint: string): KnownKey | undefined | Promise<KnownKey | undefined>;
  /** The `SHA256:…` of a user's keys that have not expired: at most 50. */
  fingerprintsOf(userId: string): Promise<readonly string[]>;
  /** Remembers that somebody signed in with it, to the minute. */
  used(id: string): Promise<void>;
}

const FINGERPRINT = /^SHA256:[A-Za-z0-9+/]{43}$/;

export function createSshKeys(
  db: Kysely<Tables>,
  now: () => number,
  expiries: Expiries,
  changed: () => void,
  changes: ChangeFeed,
): SshKeys {
  const cache = new VerifiedCache<KnownKey>({
    capacity: AUTH_LIMITS.cacheEntries,
    ttlMs: AUTH_LIMITS.cacheMs,
    now,
  });

  async function load(fingerprint: string): Promise<KnownKey | undefined> {
    const row = await db
      .selectFrom('ssh_keys')
      .innerJoin('users', 'users.id', 'ssh_keys.user_id')
      .select(['ssh_keys.id as key_id', 'expires_at', 'users.id', 'username', 'admin'])
      .where('fingerprint', '=', fingerprint)
      .executeTakeFirst();
    if (row === undefined) return undefined;
    const expiresAt = row.expires_at === null ? Infinity : Number(row.expires_at);
    if (expiresAt > now()) expiries.add(row.key_id, expiresAt);
    return { keyId: row.key_id, principal: principalOf(row), expiresAt };
  }

  function forget(id: string): void {
    cache.drop((entry) => entry.keyId === id);
    changed();
  }

  changes.subscribe(({ kind, subject }) => {
    if (kind === 'ssh-key') forget(subject);
  });

  const good = (found: KnownKey | undefined): KnownKey | undefined =>
    found !== undefined && found.expiresAt > now() ? found : undefined;

  return {
    async add(userId, { title, key, expiresAt }) {
      const parsed = parse(key);
      const createdAt = now();
      if (expiresAt !== undefined && expiresAt <= createdAt) {
        throw refused('bad-request', 'The key would have expired already: expiresAt is past.');
      }
      const row: SshKeyRow = {
        id: randomUUID(),
        user_id: userId,
        title,
        public_key: parsed.line,
        fingerprint: parsed.fingerprint,
        created_at: createdAt,
        expires_at: expiresAt ?? null,
        last_used_at: null,
      };
      await db.transaction().execute(async (trx) => {
        const { count } = await trx
          .selectFrom('ssh_keys')
          .select((each) => each.fn.countAll<number | string>().as('count'))
          .where('user_id', '=', userId)
          .executeTakeFirstOrThrow();
        if (Number(count) >= AUTH_LIMITS.sshKeys) {
          throw refused(
            'forbidden',
            `You have ${AUTH_LIMITS.sshKeys} SSH keys, the most there may be. Remove one first.`,
          );
        }
        const made = await trx
          .insertInto('ssh_keys')
          .values(row)
          .onConflict((conflict) => conflict.column('fingerprint').doNothing())
          .returning('id')
          .execute();
        if (made.length === 0) {
          throw refused(
            'conflict',
            'This key belongs to an account already, and a key can belong to one only. Make another with ssh-keygen, or remove it there first.',
          );
        }
      });
      return viewOf(row);
    },

    async list(userId) {
      const rows = await db
        .selectFrom('ssh_keys')
        .selectAll()
        .where('user_id', '=', userId)
        .orderBy('created_at')
        .orderBy('id')
        .execute();
      return rows.map(viewOf);
    },

    async find(id, userId) {
      const row = await db
        .selectFrom('ssh_keys')
        .selectAll()
        .where('id', '=', id)
        .where('user_id', '=', userId)
        .executeTakeFirst();
      return row && viewOf(row);
    },

    async remove(id, userId) {
      const row = await db.transaction().execute(async (trx) => {
        const gone = await trx
          .deleteFrom('ssh_keys')
          .where('id', '=', id)
          .where('user_id', '=', userId)
          .returningAll()
          .executeTakeFirst();
        if (gone) await changes.record(trx, now(), { kind: 'ssh-key', subject: id });
        return gone;
      });
      if (row === undefined) return undefined;
      forget(id);
      return viewOf(row);
    },

    findByFingerprint(fingerprint) {
      if (!FINGERPRINT.test(fingerprint)) return undefined;
      const found = cache.get(fingerprint, () => load(fingerprint));
      return found instanceof Promise ? found.then(good) : good(found);
    },

    async fingerprintsOf(userId) {
      const rows = await db
        .selectFrom('ssh_keys')
        .select('fingerprint')
        .where('user_id', '=', userId)
        .where((each) => each.or([each('expires_at', 'is', null), each('expires_at', '>', now())]))
        .orderBy('created_at')
        .limit(AUTH_LIMITS.sshKeys)
        .execute();
      return rows.map((row) => row.fingerprint);
    },

    async used(id) {
      const at = now();
      await db
        .updateTable('ssh_keys')
        .set({ last_used_at: at })
        .where('id', '=', id)
        .where((each) =>
          each.or([
            each('last_used_at', 'is', null),
            each('last_used_at', '<=', at - AUTH_LIMITS.keyUseMs),
          ]),
        )
        .execute();
    },
  };
}

function parse(line: string): PublicKey {
  try {
    return parsePublicKey(line);
  } catch (error) {
    if (!(error instanceof PublicKeyError)) throw error;
    throw refused('bad-request', error.message);
  }
}

function refused(code: 'bad-request' | 'conflict' | 'forbidden', message: string): RelayError {
  return new RelayError(code, message, { blame: code === 'forbidden' ? 'policy' : 'client' });
}

function viewOf(row: SshKeyRow): SshKey {
  return {
    id: row.id,
    title: row.title,
    key: row.public_key,
    fingerprint: row.fingerprint,
    createdAt: Number(row.created_at),
    expiresAt: row.expires_at === null ? undefined : Number(row.expires_at),
    lastUsedAt: row.last_used_at === null ? undefined : Number(row.last_used_at),
  };
}
