import ssh2 from 'ssh2';
import { fingerprintOf } from './fingerprint.ts';

/** A public key that cannot be used; the message is a sentence for its owner. */
export class PublicKeyError extends Error {
  override readonly name = 'PublicKeyError';
}

export interface PublicKey {
  /** `ssh-ed25519`, `ecdsa-sha2-nistp256`, `ssh-rsa`, … */
  readonly type: string;
  /** The key in SSH's wire form. */
  readonly blob: Buffer;
  readonly comment: string;
  /** `SHA256:…` */
  readonly fingerprint: string;
  /** `<type> <base64>`, without the comment. */
  readonly line: string;
}

/** Longer lines are refused unread: an RSA key of 16384 bits has 2.8 KB. */
export const MAX_KEY_LINE_BYTES = 8192;
/** NIST SP 800-131A: shorter ones are no longer allowed. */
const MIN_RSA_BITS = 2048;

const TYPES = new Set([
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'ssh-rsa',
]);

/** One line of OpenSSH's public key form. Throws PublicKeyError. */
export function parsePublicKey(text: string): PublicKey {
  const line = text.trim();
  if (line.length > MAX_KEY_LINE_BYTES) throw new PublicKeyError('The key is too long.');
  if (line.includes('PRIVATE KEY')) {
    throw new PublicKeyError(
      'This is a private key: keep it secret, make a new pair if others saw it, and give the .pub file instead.',
    );
  }
  if (/[\r\n]/.test(line)) {
    throw new PublicKeyError('Give one key: the one line of a .pub file.');
  }
  const [type = '', base64 = '', ...comment] = line.split(/[ \t]+/);
  if (type === 'ssh-dss') throw new PublicKeyError('DSA keys are no longer safe: use ed25519.');
  if (type.startsWith('sk-')) {
    throw new PublicKeyError('Keys of security tokens (sk-…) are not supported yet: use ed25519.');
  }
  if (!TYPES.has(type)) {
    throw new PublicKeyError(
      'A public key is one line such as "ssh-ed25519 AAAA… you@laptop", as in ~/.ssh/id_ed25519.pub.',
    );
  }
  const blob = Buffer.from(base64, 'base64');
  const parsed = ssh2.utils.parseKey(`${type} ${blob.toString('base64')}`);
  if (parsed instanceof Error || Array.isArray(parsed) || parsed.type !== type) {
    throw new PublicKeyError('The key is damaged: copy the whole line of the .pub file.');
  }
  if (type === 'ssh-rsa' && modulusBits(blob) < MIN_RSA_BITS) {
    throw new PublicKeyError(`RSA keys need at least ${MIN_RSA_BITS} bits: use ed25519.`);
  }
  return {
    type,
    blob,
    comment: comment.join(' '),
    fingerprint: fingerprintOf(blob),
    line: `${type} ${blob.toString('base64')}`,
  };
}

/** Of `string "ssh-rsa", mpint e, mpint n` (RFC 4253 6.6), which ssh2 has checked. */
function modulusBits(blob: Buffer): number {
  let at = 4 + blob.readUInt32BE(0);
  at += 4 + blob.readUInt32BE(at);
  let n = blob.subarray(at + 4, at + 4 + blob.readUInt32BE(at));
  while (n[0] === 0) n = n.subarray(1);
  return n.length * 8 - Math.clz32(n[0] ?? 0) + 24;
}
