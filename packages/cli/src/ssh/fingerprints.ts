import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** The key that `burrow ssh-config` makes, then those that ssh offers by itself. */
const IDENTITIES = ['burrow_ed25519', 'id_ed25519', 'id_ecdsa', 'id_rsa'];
const FINGERPRINT = /^SHA256:[A-Za-z0-9+/]{43}$/;

export function isFingerprint(text: string): boolean {
  return FINGERPRINT.test(text);
}

/** OpenSSH's `SHA256:…` of a public key's line; undefined: it is none. */
export function fingerprintOfLine(line: string): string | undefined {
  const [type = '', base64 = ''] = line.trim().split(/\s+/);
  const blob = Buffer.from(base64, 'base64');
  // The blob begins with its type as a string: so this is no other file.
  if (blob.length < 4 + type.length || blob.toString('latin1', 4, 4 + type.length) !== type) {
    return undefined;
  }
  return `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`;
}

/** Of the keys that ssh on this machine will most likely offer. Only public halves are read. */
export function ownFingerprints(folder = join(homedir(), '.ssh')): string[] {
  return IDENTITIES.flatMap((name) => {
    try {
      return fingerprintOfLine(readFileSync(join(folder, `${name}.pub`), 'utf8')) ?? [];
    } catch {
      return [];
    }
  });
}
