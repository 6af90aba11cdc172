import type { SshKey as SshKeyView } from '@burrow/api';
import type { SshKey } from '../../../auth/ssh-keys.ts';
import { RelayError } from '../../../errors.ts';

export function viewKey(key: SshKey): SshKeyView {
  const { id, title, fingerprint, createdAt, expiresAt, lastUsedAt } = key;
  return {
    id,
    title,
    key: key.key,
    fingerprint,
    createdAt: new Date(createdAt).toISOString(),
    expiresAt: expiresAt === undefined ? null : new Date(expiresAt).toISOString(),
    lastUsedAt: lastUsedAt === undefined ? null : new Date(lastUsedAt).toISOString(),
  };
}

export function unknownKey(): RelayError {
  return new RelayError('not-found', 'You have no SSH key with that id.', { blame: 'client' });
}
