import { randomBytes } from 'node:crypto';
import ssh2 from 'ssh2';
import type { HostKey } from './host-key.ts';
import { sshString, uint32 } from './messages.ts';

/** What a user certificate may allow: without them a session has neither terminal nor forwarding. */
export const USER_EXTENSIONS = [
  'permit-X11-forwarding',
  'permit-agent-forwarding',
  'permit-port-forwarding',
  'permit-pty',
  'permit-user-rc',
] as const;

export interface UserCertificate {
  /** The key that is certified, in SSH's wire form: ed25519, ECDSA or RSA. */
  readonly publicKey: Buffer;
  /** Says in the log of sshd whose it is. */
  readonly keyId: string;
  /** Account names, at least one: none would mean all of them. */
  readonly principals: readonly string[];
  /** ms since the epoch; rounded to seconds, outwards. */
  readonly validAfter: number;
  readonly validBefore: number;
  /** Default: all of them, as `ssh-keygen -s` does. */
  readonly extensions?: readonly (typeof USER_EXTENSIONS)[number][];
  /** Default: 64 random bits. */
  readonly serial?: bigint;
  /** An ed25519 key. */
  readonly ca: HostKey;
}

/** Of PROTOCOL.certkeys, "SSH2_CERT_TYPE_USER". */
const USER = 1;
const SUFFIX = '-cert-v01@openssh.com';
const CERTIFIED = /^(?:ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521))$/;
const NAME = /^[\u0021-\u002b\u002d-\u007e]{1,64}$/;

/**
 * An OpenSSH user certificate, as one line `<type> <base64>`: what `ssh-keygen
 * -s` writes and an sshd with TrustedUserCAKeys believes. The form is that of
 * OpenSSH's PROTOCOL.certkeys. Throws TypeError for a key or name that does not fit.
 */
export function signUserCertificate(wanted: UserCertificate): string {
  const { publicKey, principals, ca } = wanted;
  const { type, rest } = splitKey(publicKey);
  if (principals.length === 0 || !principals.every((name) => NAME.test(name))) {
    throw new TypeError('A certificate needs principals: plain names without commas or blanks.');
  }
  const extensions = (wanted.extensions ?? USER_EXTENSIONS).toSorted();
  const signer = signerOf(ca);
  const certificateType = type + SUFFIX;
  const body = Buffer.concat([
    sshString(certificateType),
    sshString(randomBytes(32)),
    rest,
    uint64(wanted.serial ?? randomBytes(8).readBigUInt64BE()),
    uint32(USER),
    sshString(wanted.keyId),
    sshString(Buffer.concat(principals.map((name) => sshString(name)))),
    uint64(BigInt(Math.floor(wanted.validAfter / 1000))),
    uint64(BigInt(Math.ceil(wanted.validBefore / 1000))),
    // No critical options: sshd sees a connection from this very machine, whatever its client's address.
    sshString(''),
    sshString(Buffer.concat(extensions.flatMap((name) => [sshString(name), sshString('')]))),
    sshString(''),
    sshString(signer.getPublicSSH()),
  ]);
  const signature = Buffer.concat([sshString(signer.type), sshString(signer.sign(body))]);
  return `${certificateType} ${Buffer.concat([body, sshString(signature)]).toString('base64')}`;
}

/** A key's type, and the fields that follow it. */
function splitKey(blob: Buffer): { type: string; rest: Buffer } {
  const length = blob.length < 4 ? Infinity : blob.readUInt32BE(0);
  const type = length < 64 ? blob.toString('latin1', 4, 4 + length) : '';
  if (!CERTIFIED.test(type)) throw new TypeError('This kind of key cannot be certified.');
  return { type, rest: blob.subarray(4 + length) };
}

function signerOf(ca: HostKey): ssh2.ParsedKey {
  const parsed = ssh2.utils.parseKey(ca.privateKey);
  const key = Array.isArray(parsed) ? parsed[0] : parsed;
  // An RSA authority would need its signatures' hash chosen, and an old sshd to accept it.
  if (key === undefined || key instanceof Error || key.type !== 'ssh-ed25519') {
    throw new TypeError('A certificate authority needs an ed25519 key.');
  }
  return key;
}

function uint64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(value);
  return bytes;
}
