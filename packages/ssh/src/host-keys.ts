/**
 * How a server makes further host keys known to clients that trust it by one of
 * them, so that keys can be replaced without a warning: OpenSSH's PROTOCOL, 2.5
 * "hostkeys-update@openssh.com". Clients do it with `UpdateHostKeys`, their default.
 */
import ssh2, { type Connection } from 'ssh2';
import type { HostKey } from './host-key.ts';
import { globalRequest, MESSAGE, sshString } from './messages.ts';
import { sendMessage, sessionIdOf } from './raw-connection.ts';

const ANNOUNCE = 'hostkeys-00@openssh.com';
const PROVE = 'hostkeys-prove-00@openssh.com';
/** More than any server has. */
const MAX_KEYS = 16;

interface Signer {
  readonly blob: Buffer;
  sign(data: Buffer): Buffer;
}

/** Parsed once for many connections. Empty, when one of them is of another kind than ed25519. */
export type AnnouncedKeys = readonly Signer[];

export function announcedKeys(keys: readonly Pick<HostKey, 'privateKey'>[]): AnnouncedKeys {
  const signers = keys.map(({ privateKey }) => {
    const parsed = ssh2.utils.parseKey(privateKey);
    const key = Array.isArray(parsed) ? parsed[0] : parsed;
    if (key === undefined || key instanceof Error || key.type !== 'ssh-ed25519') return undefined;
    return {
      blob: key.getPublicSSH(),
      sign: (data: Buffer) => Buffer.concat([sshString('ssh-ed25519'), sshString(key.sign(data))]),
    };
  });
  const all = signers.filter((signer) => signer !== undefined);
  // Of a list with one missing, clients would forget that one.
  return all.length === keys.length ? all : [];
}

/** Call once the client is signed in. It forgets other keys that it knew for this server. */
export function announceHostKeys(connection: Connection, keys: AnnouncedKeys): void {
  if (keys.length === 0) return;
  sendMessage(
    connection,
    Buffer.concat([
      Buffer.from([MESSAGE.GLOBAL_REQUEST]),
      sshString(ANNOUNCE),
      Buffer.from([0]),
      ...keys.map(({ blob }) => sshString(blob)),
    ]),
  );
}

/**
 * The answer to a client that asks for proof of keys that it did not know;
 * undefined for every other message. To be sent in its turn among the answers to global requests.
 */
export function hostKeysProof(
  connection: Connection,
  payload: Buffer,
  keys: AnnouncedKeys,
): Buffer | undefined {
  if (globalRequest(payload)?.name !== PROVE) return undefined;
  const failure = Buffer.from([MESSAGE.REQUEST_FAILURE]);
  const signatures: Buffer[] = [];
  for (let at = 1 + 4 + PROVE.length + 1; at < payload.length;) {
    if (at + 4 > payload.length || signatures.length === MAX_KEYS) return failure;
    const end = at + 4 + payload.readUInt32BE(at);
    if (end > payload.length) return failure;
    const blob = payload.subarray(at + 4, end);
    const key = keys.find((each) => each.blob.equals(blob));
    if (key === undefined) return failure;
    const signed = [sshString(PROVE), sshString(sessionIdOf(connection)), sshString(blob)];
    signatures.push(sshString(key.sign(Buffer.concat(signed))));
    at = end;
  }
  return Buffer.concat([Buffer.from([MESSAGE.REQUEST_SUCCESS]), ...signatures]);
}
