import { sql, type Kysely } from 'kysely';
import type { Tables } from '../db/tables.ts';
import { addressGroup, type AttemptLimit } from './attempts.ts';

/** Failed sign-ins by address, over all relays of a database. */
export interface Attempts {
  /**
   * Takes one attempt before it is made. 0: go on, and say afterwards how it went by one of the
   * others; else the seconds to wait. Rejects when the database does.
   */
  take(address: string): Promise<number>;
  /** It succeeded: it does not count. */
  giveBack(address: string): void;
  /** It failed: it counts everywhere. Never rejects. */
  failed(address: string): Promise<void>;
  /** What was counted as failed turned out well. Never rejects. */
  forgive(address: string): Promise<void>;
  /** Removes what no longer counts. */
  sweep(): Promise<void>;
}

export interface AttemptsOptions {
  readonly db: Kysely<Tables>;
  /** This relay's own: bounds attempts that are made at the same moment, and holds when a write fails. */
  readonly own: AttemptLimit;
  readonly attempts: number;
  readonly refillMs: number;
  readonly now: () => number;
}

/**
 * One row by address, written by failures only: when the bucket will be full
 * again (GCRA, ITU-T I.371). Every failure moves that time on by what one costs.
 */
export function sharedAttempts(options: AttemptsOptions): Attempts {
  const { db, own, attempts, refillMs, now } = options;

  return {
    async take(address) {
      const wait = own.take(address);
      if (wait > 0) return wait;
      try {
        const row = await db
          .selectFrom('failed_attempts')
          .select('forgiven_at')
          .where('address', '=', addressGroup(address))
          .executeTakeFirst();
        const at = now();
        // Never more than all of them: another relay's clock may be ahead.
        const debt = Math.min(Number(row?.forgiven_at ?? at) - at, attempts * refillMs);
        const over = debt - (attempts - 1) * refillMs;
        if (over <= 0) return 0;
        own.giveBack(address);
        return Math.max(1, Math.ceil(over / 1000));
      } catch (error) {
        own.giveBack(address);
        throw error;
      }
    },

    giveBack: (address) => own.giveBack(address),

    async failed(address) {
      const at = now();
      const next = sql<number>`case when failed_attempts.forgiven_at > ${at} then failed_attempts.forgiven_at else ${at} end + ${refillMs}`;
      try {
        await db
          .insertInto('failed_attempts')
          .values({ address: addressGroup(address), forgiven_at: at + refillMs })
          .onConflict((conflict) => conflict.column('address').doUpdateSet({ forgiven_at: next }))
          .execute();
      } catch {
        // It counts here at least, and whoever asks next hears of the database's trouble.
      }
    },

    async forgive(address) {
      own.giveBack(address);
      try {
        await db
          .updateTable('failed_attempts')
          .set((row) => ({ forgiven_at: row('forgiven_at', '-', refillMs) }))
          .where('address', '=', addressGroup(address))
          .execute();
      } catch {
        // It is forgiven a little later, by itself.
      }
    },

    async sweep() {
      await db.deleteFrom('failed_attempts').where('forgiven_at', '<=', now()).execute();
    },
  };
}
