import type { CreateSshKey, SshKey } from '@burrow/api';
import type { Audit } from '../../../audit/audit.ts';
import { by, type Actor } from '../../../audit/event.ts';
import type { SshKeys } from '../../../auth/ssh-keys.ts';
import { viewKey } from './view.ts';

/** Adds a public key to one's account. */
export async function addKey(
  { keys, audit }: { readonly keys: SshKeys; readonly audit: Pick<Audit, 'record'> },
  actor: Actor,
  { title, key, expiresAt }: CreateSshKey,
): Promise<SshKey> {
  const added = await keys.add(actor.userId, {
    title,
    key,
    expiresAt: expiresAt === undefined ? undefined : Date.parse(expiresAt),
  });
  audit.record({
    action: 'key.added',
    outcome: 'ok',
    ...by(actor),
    detail: `${added.fingerprint} "${title}"`,
  });
  return viewKey(added);
}
