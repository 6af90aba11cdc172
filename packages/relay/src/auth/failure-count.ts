import { sql, type Kysely } from 'kysely';
import type { Tables } from '../db/tables.ts';
import type { AttemptLimit } from './attempts.ts';

export interface FailureCountOptions {
  readonly db: Kysely<Tables>;
  /** This relay's own: bounds attempts that are made at the same moment, and holds when a write fails. */
  readonly own: AttemptLimit;
  /** Failures before a key waits, and ms until one more is allowed. */
  readonly attempts: number;
  readonly refillMs: number;
  readonly now: () => number;
}

/** Failures of something by key, over all relays of a database. */
export interface FailureCount {
  /** Takes one attempt before it is made: 0, or the seconds to wait. Rejects when the database does. */
  take(key: string): Promise<number>;
  /** `take` said to wait, and the attempt is made all the same: so that it can be given back too. */
  owe(key: string): void;
  /** It need not count. */
  giveBack(key: string): void;
  /** It failed: it counts everywhere. Never rejects. */
  failed(key: string): Promise<void>;
  /** What was counted as failed turned out well. Never rejects. */
  forgive(key: string): Promise<void>;
}

/**
 * One row by key, written by failures only: when the bucket will be full again
 * (GCRA, ITU-T I.371). Every failure moves that time on by what one costs.
 */
export function failureCount(options: FailureCountOptions): FailureCount {
  const { db, own, attempts, refillMs, now } = options;

  return {
    async take(key) {
      const wait = own.take(key);
      if (wait > 0) return wait;
      try {
        const row = await db
          .selectFrom('failed_attempts')
          .select('forgiven_at')
          .where('address', '=', key)
          .executeTakeFirst();
        const at = now();
        // Never more than all of them: another relay's clock may be ahead.
        const debt = Math.min(Number(row?.forgiven_at ?? at) - at, attempts * refillMs);
        const over = debt - (attempts - 1) * refillMs;
        if (over <= 0) return 0;
        own.giveBack(key);
        return Math.max(1, Math.ceil(over / 1000));
      } catch (error) {
        own.giveBack(key);
        throw error;
      }
    },

    owe: (key) => own.owe(key),
    giveBack: (key) => own.giveBack(key),

    async failed(key) {
      const at = now();
      const next = sql<number>`case when failed_attempts.forgiven_at > ${at} then failed_attempts.forgiven_at else ${at} end + ${refillMs}`;
      try {
        await db
          .insertInto('failed_attempts')
          .values({ address: key, forgiven_at: at + refillMs })
          .onConflict((conflict) => conflict.column('address').doUpdateSet({ forgiven_at: next }))
          .execute();
      } catch {
        // It counts here at least, and whoever asks next hears of the database's trouble.
      }
    },

    async forgive(key) {
      own.giveBack(key);
      try {
        await db
          .updateTable('failed_attempts')
          .set((row) => ({ forgiven_at: row('forgiven_at', '-', refillMs) }))
          .where('address', '=', key)
          .execute();
      } catch {
        // It is forgiven a little later, by itself.
      }
    },
  };
}
