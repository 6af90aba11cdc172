import type { Kysely } from 'kysely';
import type { Principal } from '../../auth/principal.ts';
import type { Tables } from '../../db/tables.ts';
import { RelayError } from '../../errors.ts';

/** A living workspace and its agent, as one row. */
export type WorkspaceRow = Awaited<
  ReturnType<ReturnType<typeof livingWorkspaces>['execute']>
>[number];

export function livingWorkspaces(db: Kysely<Tables>) {
  return db
    .selectFrom('workspaces')
    .innerJoin('tunnel_agents', 'tunnel_agents.workspace_id', 'workspaces.id')
    .select([
      'workspaces.id',
      'workspaces.name',
      'workspaces.owner_id',
      'workspaces.driver',
      'workspaces.state',
      'workspaces.state_reason',
      'workspaces.editor_port',
      'workspaces.created_at',
      'workspaces.ssh_server',
      'workspaces.ssh_host_key',
      'workspaces.ssh_user',
      'tunnel_agents.id as agent_id',
      'tunnel_agents.token_hash',
      'tunnel_agents.connected_since',
      'tunnel_agents.last_seen_at',
    ])
    .where('workspaces.terminated_at', 'is', null);
}

/**
 * The living workspace of that name, for its owner or an admin. Rejects with
 * RelayError `workspace-unknown` for everybody else too: what one may not see does not exist.
 */
export async function findWorkspace(
  db: Kysely<Tables>,
  principal: Principal,
  name: string,
): Promise<WorkspaceRow> {
  const row = await livingWorkspaces(db).where('workspaces.name', '=', name).executeTakeFirst();
  if (row === undefined || (row.owner_id !== principal.userId && !principal.admin)) {
    throw unknownWorkspace(name);
  }
  return row;
}

export function unknownWorkspace(name: string): RelayError {
  return new RelayError(
    'workspace-unknown',
    `There is no workspace "${name.slice(0, 60)}" that you may use.`,
    { blame: 'client' },
  );
}
