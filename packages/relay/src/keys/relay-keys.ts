import { access, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { loadOrCreateHostKey, parseHostKey, type HostKey } from '@burrow/ssh';
import type { ChangeFeed } from '../changes/feed.ts';
import { clusterSecrets } from '../cluster/cluster-settings.ts';
import type { Config } from '../config/schema.ts';
import { loadUserCaKey } from '../control/ssh/user-ca.ts';
import type { Database } from '../db/database.ts';
import { RelayError } from '../errors.ts';
import { createClusterKeys, type ClusterKeys, type KeySet } from './cluster-keys.ts';
import { createSealer } from './seal.ts';
import type { KeyPurpose } from './tables.ts';

/** The SSH keys by which this relay is known, whoever runs it. */
export interface RelayKeys {
  /** In use first; the others are made known to clients. */
  readonly sshHost: readonly HostKey[];
  readonly userCa: KeySet;
  /** Called when the host keys are others than before. Returns unsubscribe. */
  onHostKeys(listener: (keys: readonly HostKey[]) => void): () => void;
}

export interface RelayKeysOptions {
  readonly config: Pick<Config, 'ssh' | 'cluster'>;
  readonly dataDir: string;
  readonly database: Pick<Database, 'kysely'>;
  readonly changes: ChangeFeed;
  readonly onError: (error: unknown) => void;
}

/** File of each key in the data folder of a relay that stands alone. */
const FILES: Readonly<Record<KeyPurpose, string>> = {
  'ssh-host': 'ssh_host_ed25519_key',
  'ssh-user-ca': 'ssh_user_ca_ed25519_key',
};

/** The keys that relays share through the database. Undefined: without `cluster.secret` there are none. */
export function sharedKeys(
  { cluster }: Pick<Config, 'cluster'>,
  { kysely }: Pick<Database, 'kysely'>,
): ClusterKeys | undefined {
  if ((cluster.secret ?? cluster.secretFile) === undefined) return undefined;
  return createClusterKeys(kysely, createSealer(clusterSecrets(cluster)));
}

/**
 * Each key comes from the files that the configuration names; else, in a
 * cluster, from the database; else from the data folder, where it is made at
 * the first start. Rejects with RelayError.
 */
export async function loadRelayKeys(options: RelayKeysOptions): Promise<RelayKeys> {
  const { ssh } = options.config;
  const shared = sharedKeys(options.config, options.database);
  const listeners = new Set<(keys: readonly HostKey[]) => void>();
  const hostFiles = await Promise.all(
    ssh.hostKeyFiles.map((file) => named('ssh.hostKeyFiles', file)),
  );
  const caFile =
    ssh.userCaKeyFile === undefined
      ? undefined
      : await loadUserCaKey(options.dataDir, ssh.userCaKeyFile);

  const load = (purpose: KeyPurpose): Promise<KeySet> => {
    const file = join(options.dataDir, FILES[purpose]);
    // The single relay that a cluster grows from keeps its name.
    return shared === undefined
      ? own(file)
      : shared.load(purpose, async () =>
          (await isThere(file)) ? (await own(file)).current : undefined,
        );
  };
  const hosts = async (): Promise<readonly HostKey[]> => {
    if (hostFiles.length > 0) return hostFiles;
    const { current, next } = await load('ssh-host');
    return next === undefined ? [current] : [current, next];
  };
  const authority = async (): Promise<KeySet> =>
    caFile === undefined ? load('ssh-user-ca') : { current: caFile, next: undefined };

  let sshHost = ssh.enabled ? await hosts() : hostFiles;
  let userCa = await authority();

  async function reload(purpose: string): Promise<void> {
    if (purpose === 'ssh-user-ca') userCa = await authority();
    if (purpose !== 'ssh-host' || !ssh.enabled || hostFiles.length > 0) return;
    sshHost = await hosts();
    for (const listener of listeners) listener(sshHost);
  }
  options.changes.subscribe(({ kind, subject }) => {
    if (kind === 'cluster-key') void reload(subject).catch(options.onError);
  });

  return {
    get sshHost() {
      return sshHost;
    },
    get userCa() {
      return userCa;
    },
    onHostKeys(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

async function own(file: string): Promise<KeySet> {
  try {
    return { current: await loadOrCreateHostKey(file), next: undefined };
  } catch (error) {
    throw unusable(file, error);
  }
}

async function named(setting: string, file: string): Promise<HostKey> {
  try {
    return parseHostKey(await readFile(file, 'utf8'));
  } catch (error) {
    throw unusable(`${setting}: ${file}`, error);
  }
}

function unusable(what: string, error: unknown): RelayError {
  return new RelayError('config-invalid', `cannot use ${what}: ${(error as Error).message}`, {
    cause: error,
  });
}

async function isThere(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
