import { resolve } from 'node:path';
import type { Config } from '../config/schema.ts';
import { databaseOf } from '../db/configured.ts';
import { openDatabase } from '../db/database.ts';
import { RelayError } from '../errors.ts';
import type { ClusterKeys } from './cluster-keys.ts';
import { sharedKeys } from './relay-keys.ts';
import type { KeyPurpose } from './tables.ts';

/** What `burrow relay keys …` does. */
export type KeysVerb = 'list' | 'rotate' | 'activate' | 'cancel';

export const KEY_PURPOSES: readonly KeyPurpose[] = ['ssh-host', 'ssh-user-ca'];

const NEXT: Readonly<Record<KeyPurpose, string>> = {
  'ssh-host':
    'Every relay tells it to each ssh client that signs in. Leave people time to do so once, then activate it.',
  'ssh-user-ca':
    'GET /api/v1/ssh/user-ca lists it among publicKeys. Give those lines to every sshd (TrustedUserCAKeys), then activate it.',
};

/** Runs one verb; resolves with the text to print. Rejects with RelayError. */
export async function runKeysCommand(
  config: Config,
  verb: KeysVerb,
  purpose: KeyPurpose | undefined,
  json: boolean,
): Promise<string> {
  const quiet = { info() {}, warn() {} };
  const database = await openDatabase(databaseOf(config, resolve(config.dataDir), quiet));
  try {
    const keys = sharedKeys(config, database);
    if (keys === undefined) {
      throw new RelayError(
        'config-invalid',
        'Without cluster.secret a relay keeps its SSH keys in files of the data folder: docs/operations.md says how to replace those.',
      );
    }
    if (verb === 'list') return await list(keys, json);
    if (purpose === undefined || !KEY_PURPOSES.includes(purpose)) {
      throw new RelayError('config-invalid', `Name the key: ${KEY_PURPOSES.join(' or ')}.`);
    }
    return await change(keys, verb, purpose);
  } finally {
    await database.close();
  }
}

async function list(keys: ClusterKeys, json: boolean): Promise<string> {
  const rows = (await keys.list()).map((key) => ({
    ...key,
    createdAt: new Date(key.createdAt).toISOString(),
  }));
  if (json) return `${JSON.stringify(rows, undefined, 2)}\n`;
  if (rows.length === 0) return 'No keys yet: the first relay that starts makes them.\n';
  return rows
    .map(({ purpose, slot, fingerprint, createdAt }) =>
      [purpose.padEnd(12), slot.padEnd(8), fingerprint, createdAt].join(' '),
    )
    .map((line) => `${line}\n`)
    .join('');
}

async function change(
  keys: ClusterKeys,
  verb: Exclude<KeysVerb, 'list'>,
  purpose: KeyPurpose,
): Promise<string> {
  switch (verb) {
    case 'rotate': {
      const { publicLine, fingerprint } = await keys.rotate(purpose);
      return `The next key of ${purpose} is ${fingerprint}:\n${publicLine}\n${NEXT[purpose]}\n`;
    }
    case 'activate': {
      const { fingerprint } = await keys.activate(purpose);
      return `${purpose} is ${fingerprint} from now on, on every relay.\n`;
    }
    case 'cancel':
      return (await keys.cancel(purpose))
        ? `The next key of ${purpose} is deleted.\n`
        : `There was no next key of ${purpose}.\n`;
  }
}
