/**
 * What Burrow's SSH servers and clients offer. Nothing that `ssh-audit` marks
 * as failing: no SHA-1, no CBC, no NIST curves for the key exchange, no
 * compression (it would need a private path of its own; the tunnel's bytes are
 * mostly incompressible anyway). ssh2 adds strict key exchange by itself.
 */
import type { CipherAlgorithm, KexAlgorithm, MacAlgorithm } from 'ssh2';

export interface AlgorithmLists {
  readonly kex: KexAlgorithm[];
  readonly cipher: CipherAlgorithm[];
  readonly hmac: MacAlgorithm[];
  readonly compress: ['none'];
}

const KEX: KexAlgorithm[] = [
  'curve25519-sha256',
  'curve25519-sha256@libssh.org',
  'diffie-hellman-group16-sha512',
  'diffie-hellman-group18-sha512',
];

const GCM: CipherAlgorithm[] = ['aes128-gcm@openssh.com', 'aes256-gcm@openssh.com'];

const ETM: MacAlgorithm[] = ['hmac-sha2-256-etm@openssh.com', 'hmac-sha2-512-etm@openssh.com'];

/** For every peer: GCM first, counter mode with encrypt-then-MAC for those without it. */
export const SERVER_ALGORITHMS: AlgorithmLists = {
  kex: KEX,
  cipher: [...GCM, 'aes256-ctr', 'aes128-ctr'],
  hmac: ETM,
  compress: ['none'],
};

/**
 * Dropbear has neither GCM nor encrypt-then-MAC: counter mode and a MAC of SHA-2 let it in. It sends its first
 * message of the key exchange before it knows what is offered, and ssh2 drops that one always, although it may
 * only if the first offers differ (RFC 4253 7.1): so they differ here, by another name for the same method.
 */
const DROPBEAR_ALGORITHMS: AlgorithmLists = {
  ...SERVER_ALGORITHMS,
  kex: ['curve25519-sha256@libssh.org', ...KEX.filter((name) => !name.includes('@'))],
  hmac: [...ETM, 'hmac-sha2-256'],
};

/** Between processes of our own. */
export const CLIENT_ALGORITHMS: AlgorithmLists = {
  ...SERVER_ALGORITHMS,
  cipher: [...GCM],
};

/**
 * The client's order decides, and OpenSSH puts counter mode before GCM, which
 * costs three times as much here (docs/decisions/2026-11-23-ssh-bridge-by-message.md):
 * so it is offered GCM alone, which it has had since 6.2.
 */
export function algorithmsFor(software: string): AlgorithmLists {
  if (software.startsWith('dropbear')) return DROPBEAR_ALGORITHMS;
  return /^OpenSSH_(?:[7-9]|\d\d)/.test(software) ? CLIENT_ALGORITHMS : SERVER_ALGORITHMS;
}
