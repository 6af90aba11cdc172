import type { Kysely } from 'kysely';
import type { Tables } from '../../db/tables.ts';

/** The names of the workspaces that these tunnel agents serve. */
export async function workspaceNames(
  db: Kysely<Tables>,
  agentIds: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  if (agentIds.length === 0) return new Map();
  const rows = await db
    .selectFrom('workspaces')
    .innerJoin('tunnel_agents', 'tunnel_agents.workspace_id', 'workspaces.id')
    .select(['tunnel_agents.id', 'workspaces.name'])
    .where('tunnel_agents.id', 'in', agentIds)
    .execute();
  return new Map(rows.map(({ id, name }) => [id, name]));
}
