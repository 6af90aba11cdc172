import type { Kysely } from 'kysely';
import type { Tables } from '../db/tables.ts';
import { AUTH_LIMITS } from './limits.ts';

/** Addresses (IPv6: /64) from which somebody signed in lately, over all relays of a database. */
export interface KnownAddresses {
  /** Written at most once a day for each. Never rejects. */
  remember(group: string): Promise<void>;
  /** Rejects when the database does. */
  has(group: string): Promise<boolean>;
  /** Removes those of long ago. */
  sweep(): Promise<void>;
}

export function knownAddresses(db: Kysely<Tables>, now: () => number): KnownAddresses {
  /** When this relay last wrote each; the oldest is forgotten first. */
  const written = new Map<string, number>();

  return {
    async remember(group) {
      const at = now();
      if (at - (written.get(group) ?? -Infinity) < AUTH_LIMITS.knownAddressWriteMs) return;
      written.delete(group);
      written.set(group, at);
      const [oldest] = written.keys();
      if (written.size > AUTH_LIMITS.attemptAddresses && oldest !== undefined) {
        written.delete(oldest);
      }
      const until = at + AUTH_LIMITS.knownAddressMs;
      try {
        await db
          .insertInto('known_addresses')
          .values({ address: group, until })
          .onConflict((conflict) => conflict.column('address').doUpdateSet({ until }))
          .execute();
      } catch {
        // Nobody is kept out by it today; the next sign-in writes it.
        written.delete(group);
      }
    },

    async has(group) {
      const row = await db
        .selectFrom('known_addresses')
        .select('until')
        .where('address', '=', group)
        .where('until', '>', now())
        .executeTakeFirst();
      return row !== undefined;
    },

    async sweep() {
      await db.deleteFrom('known_addresses').where('until', '<=', now()).execute();
    },
  };
}
