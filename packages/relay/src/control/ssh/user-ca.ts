import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { loadOrCreateHostKey, parseHostKey, signUserCertificate, type HostKey } from '@burrow/ssh';
import { RelayError } from '../../errors.ts';
import type { KeySet } from '../../keys/cluster-keys.ts';
import type { Clock } from '../clock.ts';

/** Long enough for a connection to be made; an open session does not end with it. */
const LIFETIME_MS = 5 * 60_000;
/** Workloads whose clock is late by so much still take it. */
const BACKDATE_MS = 60_000;

export interface Certified {
  readonly certificate: string;
  readonly serial: bigint;
  /** ms since the epoch. */
  readonly expiresAt: number;
}

/** Burrow's authority for users: real sshd's that trust it admit whom its certificates name. */
export interface UserCa {
  /** `ssh-ed25519 AAAA…`, for TrustedUserCAKeys. */
  readonly publicLine: string;
  readonly fingerprint: string;
  /** All lines for that file: the key in use, and the next one while it is being replaced. */
  readonly publicLines: readonly string[];
  /** For 5 minutes. `who`: for the log of sshd. Throws TypeError when key or principal do not fit. */
  certify(wanted: {
    publicKey: Buffer;
    principal: string;
    who: string;
    workspace: string;
  }): Certified;
}

/** `keys` is asked at each use: they may be replaced while the relay runs. */
export function createUserCa(keys: () => KeySet, clock: Clock): UserCa {
  return {
    get publicLine() {
      return keys().current.publicLine;
    },
    get fingerprint() {
      return keys().current.fingerprint;
    },
    get publicLines() {
      const { current, next } = keys();
      return next === undefined ? [current.publicLine] : [current.publicLine, next.publicLine];
    },
    certify({ publicKey, principal, who, workspace }) {
      const now = clock.now();
      // 63 bits: some tools read it as a signed number.
      const serial = randomBytes(8).readBigUInt64BE() >> 1n;
      const expiresAt = now + LIFETIME_MS;
      const certificate = signUserCertificate({
        publicKey,
        keyId: `burrow: ${who} to ${workspace}`,
        // The second is for an sshd that others can reach too: see docs/security.md.
        principals: [principal, `burrow:${workspace}`],
        validAfter: now - BACKDATE_MS,
        validBefore: expiresAt,
        serial,
        ca: keys().current,
      });
      return { certificate, serial, expiresAt };
    },
  };
}

/**
 * The authority's key: from the named file, else from the data folder, where it is made at the first
 * start. Rejects with RelayError `config-invalid`.
 */
export async function loadUserCaKey(dataDir: string, file: string | undefined): Promise<HostKey> {
  const path = file ?? join(dataDir, 'ssh_user_ca_ed25519_key');
  try {
    const key =
      file === undefined
        ? await loadOrCreateHostKey(path)
        : parseHostKey(await readFile(path, 'utf8'));
    if (!key.publicLine.startsWith('ssh-ed25519 ')) throw new Error('It must be an ed25519 key.');
    return key;
  } catch (error) {
    throw new RelayError(
      'config-invalid',
      `cannot use the key of the SSH authority for users, ${path}: ${(error as Error).message}`,
      { cause: error },
    );
  }
}
