import { createHash } from 'node:crypto';

/** OpenSSH's `SHA256:…` of a public key in its wire form: base64 without padding. */
export function fingerprintOf(blob: Uint8Array): string {
  return `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`;
}
