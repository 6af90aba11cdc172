import type { SshKey } from '@burrow/api';
import type { Principal } from '../../../auth/principal.ts';
import type { SshKeys } from '../../../auth/ssh-keys.ts';
import { unknownKey, viewKey } from './view.ts';

export async function showKey(keys: SshKeys, principal: Principal, id: string): Promise<SshKey> {
  const key = await keys.find(id, principal.userId);
  if (key === undefined) throw unknownKey();
  return viewKey(key);
}
