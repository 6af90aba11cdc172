import { randomUUID } from 'node:crypto';
import type { Kysely } from 'kysely';
import type { Principal } from './principal.ts';
import type { AuthTables, UserRow } from './tables.ts';

export interface Users {
  /** The first user of a fresh installation, made on the first call. */
  ensureLocalAdmin(username?: string): Promise<Principal>;
  /** Makes a user. Rejects when the name is taken. */
  create(username: string, options?: { admin?: boolean }): Promise<Principal>;
  find(userId: string): Promise<Principal | undefined>;
}

export function principalOf(user: Pick<UserRow, 'id' | 'username' | 'admin'>): Principal {
  return Object.freeze({
    userId: user.id,
    username: user.username,
    admin: Number(user.admin) === 1,
  });
}

export function createUsers(db: Kysely<AuthTables>, now: () => number): Users {
  async function create(username: string, options: { admin?: boolean } = {}): Promise<Principal> {
    const user = {
      id: randomUUID(),
      username,
      admin: options.admin === true ? 1 : 0,
      created_at: now(),
    };
    await db.insertInto('users').values(user).execute();
    return principalOf(user);
  }

  return {
    create,

    async ensureLocalAdmin(username = 'admin') {
      // Two relays starting at once on one database: the unique name decides.
      await db
        .insertInto('users')
        .values({ id: randomUUID(), username, admin: 1, created_at: now() })
        .onConflict((conflict) => conflict.column('username').doNothing())
        .execute();
      const user = await db
        .selectFrom('users')
        .selectAll()
        .where('username', '=', username)
        .executeTakeFirstOrThrow();
      return principalOf(user);
    },

    async find(userId) {
      const user = await db
        .selectFrom('users')
        .selectAll()
        .where('id', '=', userId)
        .executeTakeFirst();
      return user === undefined ? undefined : principalOf(user);
    },
  };
}
