import { randomUUID } from 'node:crypto';
import { sql, type Kysely } from 'kysely';
import type { Tables } from '../db/tables.ts';
import type { ChangesRow } from './tables.ts';

/** What other relays must forget, or cut. */
export type Change = Pick<ChangesRow, 'kind' | 'subject'> & { readonly reason?: string };

/**
 * Tells the other relays, in the transaction that makes the change (`db`): so
 * that they learn of all that happened and of nothing else. Returns the ids of the rows.
 */
export async function recordChange(
  db: Kysely<Tables>,
  now: number,
  ...changes: readonly Change[]
): Promise<readonly string[]> {
  if (changes.length === 0) return [];
  const ids = changes.map(() => randomUUID());
  await db
    .insertInto('changes')
    .values(
      changes.map(({ kind, subject, reason }, index) => ({
        id: ids[index] ?? '',
        // Not by a clock: those of relays differ, and jump.
        position: sql<number>`(select coalesce(max(position), 0) + 1 from changes)`,
        kind,
        subject,
        reason: reason ?? null,
        at: now,
      })),
    )
    .execute();
  return ids;
}
