import { randomBytes } from 'node:crypto';
import { link, mkdir, readFile, unlink, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import ssh2 from 'ssh2';
import { fingerprintOf } from './fingerprint.ts';

/** A key pair that a server or an authority proves itself by. */
export interface HostKey {
  /** In OpenSSH's form, unencrypted. Secret. */
  readonly privateKey: string;
  /** `ssh-ed25519 AAAA…`, without a comment. */
  readonly publicLine: string;
  /** `SHA256:…` */
  readonly fingerprint: string;
}

/** Any ed25519 key pair. */
export function generateHostKey(): HostKey {
  for (;;) {
    const { private: text } = ssh2.utils.generateKeyPairSync('ed25519');
    // ssh2 1.17 drops a leading zero byte of the public half: of 256 pairs one is written damaged.
    if (!(ssh2.utils.parseKey(text) instanceof Error)) return parseHostKey(text);
  }
}

/** Throws Error with a sentence when the text holds no unencrypted private key. */
export function parseHostKey(privateKey: string): HostKey {
  const parsed = ssh2.utils.parseKey(privateKey);
  const key = Array.isArray(parsed) ? parsed[0] : parsed;
  if (key === undefined || key instanceof Error || !key.isPrivateKey()) {
    throw new Error('This is no unencrypted private key in a form that OpenSSH writes.');
  }
  const blob = key.getPublicSSH();
  return {
    privateKey,
    publicLine: `${key.type} ${blob.toString('base64')}`,
    fingerprint: fingerprintOf(blob),
  };
}

/**
 * The key in the file, made there first when there is none (mode 0600, its
 * folder 0700). Never overwrites: of two processes that start at once, both
 * end with the first one's key. Throws what the file system says.
 */
export async function loadOrCreateHostKey(path: string): Promise<HostKey> {
  const there = await readIfThere(path);
  if (there !== undefined) return parseHostKey(there);
  const made = generateHostKey();
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const draft = `${path}.${randomBytes(6).toString('hex')}`;
  await writeFile(draft, made.privateKey, { mode: 0o600, flag: 'wx' });
  try {
    await link(draft, path);
    return made;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    return parseHostKey(await readFile(path, 'utf8'));
  } finally {
    await unlink(draft);
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
