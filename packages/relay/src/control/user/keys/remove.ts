import type { Principal } from '../../../auth/principal.ts';
import type { SshKeys } from '../../../auth/ssh-keys.ts';
import { unknownKey } from './view.ts';

/** Removes a key from one's account; what was signed in with it ends within a second. */
export async function removeKey(keys: SshKeys, principal: Principal, id: string): Promise<void> {
  if ((await keys.remove(id, principal.userId)) === undefined) throw unknownKey();
}
