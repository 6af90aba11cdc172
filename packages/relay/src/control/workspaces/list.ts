import type { WorkspaceList } from '@burrow/api';
import type { Principal } from '../../auth/principal.ts';
import type { ControlContext } from '../context.ts';
import { livingWorkspaces } from './rows.ts';
import { viewWorkspace } from './view.ts';

/** The most that one answer lists. */
const MAX_LISTED = 1_000;

/** One's own living workspaces, newest first; an admin's list has everybody's. */
export async function listWorkspaces(
  context: ControlContext,
  principal: Principal,
): Promise<WorkspaceList> {
  let query = livingWorkspaces(context.db);
  if (!principal.admin) query = query.where('workspaces.owner_id', '=', principal.userId);
  const rows = await query
    .orderBy('workspaces.created_at', 'desc')
    .orderBy('workspaces.name')
    .limit(MAX_LISTED)
    .execute();
  return { workspaces: rows.map((row) => viewWorkspace(context, row)) };
}
