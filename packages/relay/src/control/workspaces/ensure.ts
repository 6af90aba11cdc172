import type { Workspace } from '@burrow/api';
import type { Principal } from '../../auth/principal.ts';
import { RelayError } from '../../errors.ts';
import type { ControlContext } from '../context.ts';
import { createWorkspace } from './create.ts';
import { showWorkspace } from './show.ts';

export interface EnsureWorkspace {
  readonly name: string;
  readonly driver: 'external' | 'local';
}

/** The workspace of that name, made when it is not there. What is there is left as it is. */
export async function ensureWorkspace(
  context: ControlContext,
  principal: Principal,
  wanted: EnsureWorkspace,
): Promise<Workspace> {
  try {
    return await showWorkspace(context, principal, wanted.name);
  } catch (error) {
    if (!(error instanceof RelayError && error.code === 'workspace-unknown')) throw error;
  }
  const { environment: _secret, ...made } = await createWorkspace(context, principal, wanted);
  return made;
}
