import type { Kysely } from 'kysely';
import type { Tables } from '../db/tables.ts';
import type { Clock } from './clock.ts';

/** How often the heartbeat is written, ms. */
export const BEAT_EVERY_MS = 10_000;
/** A heartbeat further away than this, either way, is a gap, ms. */
export const GAP_MS = 30_000;
const HEARTBEAT = 'relay';

/**
 * Time that no relay lived through does not count against a lease.
 *
 * One row says when a relay last lived. When the clock is over 30 s away from
 * it - the relays were down, the machine slept, the clock was set, forwards or
 * backwards - every lease moves by that gap, in one transaction: what remained
 * of a lease at the last beat remains of it now. Returns the gap that was
 * applied, ms; 0: none.
 */
export async function beat(db: Kysely<Tables>, clock: Clock): Promise<number> {
  return db.transaction().execute(async (trx) => {
    const now = clock.now();
    const last = await trx
      .selectFrom('relay_heartbeat')
      .select('at')
      .where('id', '=', HEARTBEAT)
      .executeTakeFirst();
    if (last === undefined) {
      await trx
        .insertInto('relay_heartbeat')
        .values({ id: HEARTBEAT, at: now })
        .onConflict((conflict) => conflict.column('id').doNothing())
        .execute();
      return 0;
    }
    const gap = now - Number(last.at);
    if (gap === 0) return 0;
    // Whoever moves the row moves the leases: two relays never add one gap twice.
    const moved = await trx
      .updateTable('relay_heartbeat')
      .set({ at: now })
      .where('id', '=', HEARTBEAT)
      .where('at', '=', last.at)
      .executeTakeFirst();
    if (moved.numUpdatedRows === 0n || Math.abs(gap) <= GAP_MS) return 0;
    await trx
      .updateTable('tunnel_agents')
      .set((row) => ({ lease_expires_at: row('lease_expires_at', '+', gap) }))
      .execute();
    return gap;
  });
}

/** Ids in one statement: under every database's limit of parameters. */
const BATCH = 500;

/** Gives these agents a whole lease from now on. Returns the ids that no longer exist. */
export async function renew(
  db: Kysely<Tables>,
  clock: Clock,
  leaseMs: number,
  agentIds: readonly string[],
): Promise<readonly string[]> {
  const missing: string[] = [];
  for (let from = 0; from < agentIds.length; from += BATCH) {
    const batch = agentIds.slice(from, from + BATCH);
    const now = clock.now();
    const renewed = await db
      .updateTable('tunnel_agents')
      .set({ lease_expires_at: now + leaseMs, last_seen_at: now })
      .where('id', 'in', batch)
      .executeTakeFirst();
    if (renewed.numUpdatedRows === BigInt(batch.length)) continue;
    const rows = await db
      .selectFrom('tunnel_agents')
      .select('id')
      .where('id', 'in', batch)
      .execute();
    const living = new Set(rows.map((row) => row.id));
    missing.push(...batch.filter((id) => !living.has(id)));
  }
  return missing;
}
