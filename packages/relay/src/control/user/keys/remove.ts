import type { Audit } from '../../../audit/audit.ts';
import { by, type Actor } from '../../../audit/event.ts';
import type { SshKeys } from '../../../auth/ssh-keys.ts';
import { unknownKey } from './view.ts';

/** Removes a key from one's account; what was signed in with it ends within a second. */
export async function removeKey(
  { keys, audit }: { readonly keys: SshKeys; readonly audit: Pick<Audit, 'record'> },
  actor: Actor,
  id: string,
): Promise<void> {
  const removed = await keys.remove(id, actor.userId);
  if (removed === undefined) throw unknownKey();
  audit.record({
    action: 'key.removed',
    outcome: 'ok',
    ...by(actor),
    detail: `${removed.fingerprint} "${removed.title}"`,
  });
}
