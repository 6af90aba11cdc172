import type { Kysely } from 'kysely';
import type { Tables } from '../db/tables.ts';
import type { Clock } from './clock.ts';

export const PURGE_EVERY_MS = 3_600_000;
/** What ended is remembered this long, so that the holder of its token hears why. */
const KEEP_MS = 30 * 86_400_000;

/** Deletes what ended long ago. */
export async function purge(db: Kysely<Tables>, clock: Clock): Promise<void> {
  const before = clock.now() - KEEP_MS;
  await db.deleteFrom('revoked_agent_tokens').where('revoked_at', '<', before).execute();
  await db.deleteFrom('workspaces').where('terminated_at', '<', before).execute();
}
