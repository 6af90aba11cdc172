import type { SshKeyList } from '@burrow/api';
import type { Principal } from '../../../auth/principal.ts';
import type { SshKeys } from '../../../auth/ssh-keys.ts';
import { viewKey } from './view.ts';

/** One's own SSH keys, oldest first. */
export async function listKeys(keys: SshKeys, principal: Principal): Promise<SshKeyList> {
  return { keys: (await keys.list(principal.userId)).map(viewKey) };
}
