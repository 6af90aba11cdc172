import type { AuditEventList, AuditQuery } from '@burrow/api';
import type { Kysely } from 'kysely';
import type { AuditTables } from './tables.ts';

/** One page of events, newest first. */
export async function listEvents(
  db: Kysely<AuditTables>,
  { action, user, workspace, cursor, limit }: AuditQuery,
): Promise<AuditEventList> {
  let query = db.selectFrom('audit_events').selectAll();
  if (action !== undefined) query = query.where('action', '=', action);
  if (user !== undefined) query = query.where('username', '=', user);
  if (workspace !== undefined) query = query.where('workspace', '=', workspace);
  if (cursor !== undefined) query = query.where('id', '<', cursor);
  const rows = await query
    .orderBy('id', 'desc')
    .limit(limit + 1)
    .execute();
  const page = rows.slice(0, limit);
  return {
    events: page.map((row) => ({
      id: row.id,
      at: new Date(Number(row.at)).toISOString(),
      action: row.action,
      outcome: row.outcome,
      userId: row.user_id,
      username: row.username,
      workspace: row.workspace,
      address: row.address,
      channel: row.channel,
      detail: row.detail,
    })),
    next: rows.length > limit ? (page.at(-1)?.id ?? null) : null,
  };
}
