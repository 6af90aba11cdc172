import type { CreateSshKey, SshKey } from '@burrow/api';
import type { Principal } from '../../../auth/principal.ts';
import type { SshKeys } from '../../../auth/ssh-keys.ts';
import { viewKey } from './view.ts';

/** Adds a public key to one's account. */
export async function addKey(
  keys: SshKeys,
  principal: Principal,
  { title, key, expiresAt }: CreateSshKey,
): Promise<SshKey> {
  const added = await keys.add(principal.userId, {
    title,
    key,
    expiresAt: expiresAt === undefined ? undefined : Date.parse(expiresAt),
  });
  return viewKey(added);
}
