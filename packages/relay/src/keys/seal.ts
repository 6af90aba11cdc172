import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { RelayError } from '../errors.ts';

/**
 * Encrypts for the database with keys derived from the cluster's secrets:
 * HKDF-SHA-256 (RFC 5869), then AES-256-GCM with a random 96-bit nonce (NIST SP
 * 800-38D 8.2.2: fine for far fewer than 2^32 texts). The form is
 * `v1.<which key>.<nonce>.<ciphertext and tag>`, base64url.
 */
export interface Sealer {
  /** With the first secret. `about` must be given again to open it: it binds the text to its place. */
  seal(text: string, about: string): string;
  /**
   * With whichever secret it was sealed. `stale`: not the first one. Throws RelayError
   * `config-invalid` when none of them fits or it was tampered with.
   */
  open(sealed: string, about: string): { readonly text: string; readonly stale: boolean };
}

const ALGORITHM = 'aes-256-gcm';
const TAG_BYTES = 16;

interface SealKey {
  readonly id: string;
  readonly key: Buffer;
}

/** `secrets`: the first seals, all open. At least one. */
export function createSealer(secrets: readonly string[]): Sealer {
  const [first, ...others] = secrets.map(derive);
  if (first === undefined) throw new TypeError('at least one secret is needed');

  return {
    seal(text, about) {
      const nonce = randomBytes(12);
      const cipher = createCipheriv(ALGORITHM, first.key, nonce);
      cipher.setAAD(Buffer.from(about));
      const body = Buffer.concat([
        cipher.update(text, 'utf8'),
        cipher.final(),
        cipher.getAuthTag(),
      ]);
      return ['v1', first.id, nonce.toString('base64url'), body.toString('base64url')].join('.');
    },

    open(sealed, about) {
      const [version, id, nonce = '', body = ''] = sealed.split('.');
      const found = version === 'v1' ? [first, ...others].find((key) => key.id === id) : undefined;
      if (found === undefined) {
        throw new RelayError(
          'config-invalid',
          'The keys in the database were sealed with another cluster.secret. Give this relay the secret of the others; while it is replaced, both, one to a line of cluster.secretFile.',
        );
      }
      try {
        const bytes = Buffer.from(body, 'base64url');
        const decipher = createDecipheriv(ALGORITHM, found.key, Buffer.from(nonce, 'base64url'), {
          authTagLength: TAG_BYTES,
        });
        decipher.setAAD(Buffer.from(about));
        decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
        const text = Buffer.concat([
          decipher.update(bytes.subarray(0, -TAG_BYTES)),
          decipher.final(),
        ]).toString('utf8');
        return { text, stale: found !== first };
      } catch (error) {
        throw new RelayError(
          'config-invalid',
          'A key in the database (table cluster_keys) is damaged or was tampered with. Restore it from a backup, or delete its row and start the relay: a new key is made.',
          { cause: error },
        );
      }
    },
  };
}

function derive(secret: string): SealKey {
  const bytes = (info: string, length: number): Buffer =>
    Buffer.from(hkdfSync('sha256', secret, 'burrow', info, length));
  return {
    id: bytes('cluster keys: which', 6).toString('base64url'),
    key: bytes('cluster keys: aes-256-gcm', 32),
  };
}
