import type { WorkspaceRoute } from '../control/directory.ts';
import type { Principal } from './principal.ts';

/** The only rule, for now, about who may open a workspace: its owner, and admins. */
export function mayOpen(principal: Principal, route: WorkspaceRoute): boolean {
  return principal.admin || route.ownerId === principal.userId;
}
