import type { Workspace } from '@burrow/api';
import type { Principal } from '../../auth/principal.ts';
import type { ControlContext } from '../context.ts';
import { findWorkspace } from './rows.ts';
import { viewWorkspace } from './view.ts';

export async function showWorkspace(
  context: ControlContext,
  principal: Principal,
  name: string,
): Promise<Workspace> {
  return viewWorkspace(context, await findWorkspace(context.db, principal, name));
}
