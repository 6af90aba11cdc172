import type { Migration } from 'kysely';
import { workspaces } from './0001-workspaces.ts';
import { auth } from './0002-auth.ts';
import { sshKeys } from './0003-ssh-keys.ts';
import { audit } from './0004-audit.ts';
import { approvals } from './0005-approvals.ts';
import { workspaceSsh } from './0006-workspace-ssh.ts';
import { clusterKeys } from './0007-cluster-keys.ts';
import { changes } from './0008-changes.ts';
import { attempts } from './0009-attempts.ts';
import { knownAddresses } from './0010-known-addresses.ts';

/** Every migration, oldest first. A static list: nothing is read from disk at run time. */
export const MIGRATIONS: Readonly<Record<string, Migration>> = {
  '0001-workspaces': workspaces,
  '0002-auth': auth,
  '0003-ssh-keys': sshKeys,
  '0004-audit': audit,
  '0005-approvals': approvals,
  '0006-workspace-ssh': workspaceSsh,
  '0007-cluster-keys': clusterKeys,
  '0008-changes': changes,
  '0009-attempts': attempts,
  '0010-known-addresses': knownAddresses,
};
