/**
 * The one place that reaches into ssh2's private parts, for what its public
 * interface cannot do: pass messages of the connection protocol on as they
 * are, send a banner or the reason of a disconnect, and spend less on each
 * packet. The version of ssh2 is pinned; `raw-connection.test.ts` fails when
 * one of these parts has moved.
 */
import { createSecretKey, randomFillSync, type KeyObject } from 'node:crypto';
import type { Duplex } from 'node:stream';
import type { Client, Connection } from 'ssh2';
import type { AlgorithmLists } from './algorithms.ts';
import { MESSAGE, sshString } from './messages.ts';

/** Either side of an SSH connection. */
export type SshConnection = Client | Connection;

interface Cipher {
  allocPacket(payloadBytes: number): Buffer;
  encrypt(packet: Buffer): void;
  _encKey?: Buffer | KeyObject;
  _decipherKey?: Buffer | KeyObject;
}

interface KexLists {
  readonly kex: readonly string[];
  readonly serverHostKey: readonly string[];
  readonly cs: object;
  readonly sc: object;
}

interface KexInit {
  readonly lists: {
    readonly serverHostKey: { readonly array: readonly string[] };
  };
}

interface Protocol {
  _onPayload: (payload: Buffer) => unknown;
  _onWrite: (data: Buffer) => void;
  /** Set while keys are exchanged: what is sent meanwhile waits in `_queue`. */
  _kexinit: unknown;
  _queue: Buffer[] | undefined;
  _cipher: Cipher;
  _decipher: Cipher;
  _offer: KexInit;
  _kex: { readonly sessionID: Buffer };
  /** What each answer of the server will be about. */
  _authsQueue: string[];
}

interface Private {
  readonly _protocol: Protocol;
  readonly _sock: Duplex & { setNoDelay?(on: boolean): void };
}

const inside = (connection: SshConnection): Private => connection as unknown as Private;

/** The stream below the connection. */
export function streamOf(connection: SshConnection): Duplex {
  return inside(connection)._sock;
}

/** What signatures of this connection are bound to (RFC 4253 7.2). */
export function sessionIdOf(connection: SshConnection): Buffer {
  return inside(connection)._protocol._kex.sessionID;
}

/**
 * Calls `listen` with each message that arrives after sign-in could begin;
 * true means that it was dealt with. The payload starts with the message's
 * number and is only valid during the call. For a server's connection: call
 * it in the `connection` event; for a client: right after `connect`.
 */
export function onMessage(connection: SshConnection, listen: (payload: Buffer) => boolean): void {
  const protocol = inside(connection)._protocol;
  const before = protocol._onPayload;
  protocol._onPayload = (payload) => {
    if (payload.length > 0 && listen(payload)) return undefined;
    return before(payload);
  };
}

/** Sends one message: its number and body, copied before this returns. Waits for a key exchange under way. */
export function sendMessage(connection: SshConnection, payload: Uint8Array): void {
  const protocol = inside(connection)._protocol;
  if (protocol._kexinit !== undefined) {
    (protocol._queue ??= []).push(Buffer.from(payload));
    return;
  }
  const packet = protocol._cipher.allocPacket(payload.length);
  packet.set(payload, 5);
  protocol._cipher.encrypt(packet);
}

/**
 * Signs in by a public key that ssh2 cannot express (a certificate): `sign`
 * gets what RFC 4252 7 wants signed, and returns the signature in its wire
 * form. For an `authHandler` that then gives ssh2 nothing of its own to send.
 */
export function signInByKey(
  connection: Client,
  username: string,
  key: { readonly algorithm: string; readonly blob: Uint8Array },
  sign: (data: Buffer) => Uint8Array,
): void {
  const protocol = inside(connection)._protocol;
  const request = Buffer.concat([
    Buffer.from([MESSAGE.USERAUTH_REQUEST]),
    sshString(username),
    sshString('ssh-connection'),
    sshString('publickey'),
    Buffer.from([1]),
    sshString(key.algorithm),
    sshString(key.blob),
  ]);
  const signature = sign(Buffer.concat([sshString(protocol._kex.sessionID), request]));
  protocol._authsQueue.push('publickey');
  sendMessage(connection, Buffer.concat([request, sshString(signature)]));
}

/** Replaces what a server offers to this client. In the `connection` event only. */
export function offerAlgorithms(connection: SshConnection, lists: AlgorithmLists): void {
  const protocol = inside(connection)._protocol;
  const offer = protocol._offer;
  const Offer = offer.constructor as new (lists: KexLists) => KexInit;
  const direction = {
    cipher: lists.cipher,
    mac: lists.hmac,
    compress: lists.compress,
    lang: [],
  };
  protocol._offer = new Offer({
    kex: [...lists.kex, 'kex-strict-s-v00@openssh.com'],
    serverHostKey: offer.lists.serverHostKey.array,
    cs: direction,
    sc: direction,
  });
}

/**
 * Makes a connection cheaper and quicker: no Nagle delay (with delayed
 * acknowledgements it made uploads ten times slower), packets of one turn of
 * the event loop written at once, and keys as key objects (`createCipheriv`
 * with bytes costs 16 µs more for each packet on Node 24), and padding from a
 * pool of random bytes instead of a call for each packet. Call it where
 * `onMessage` is called.
 */
export function tune(connection: SshConnection): void {
  const { _protocol: protocol, _sock: stream } = inside(connection);
  stream.setNoDelay?.(true);
  let gathering = false;
  const flush = (): void => {
    gathering = false;
    stream.uncork();
  };
  const write = protocol._onWrite;
  protocol._onWrite = (data) => {
    if (!gathering) {
      gathering = true;
      stream.cork();
      setImmediate(flush);
    }
    write(data);
  };
  (connection as Connection).on('handshake', () => {
    if (protocol._cipher.constructor.name.startsWith('AESGCM')) {
      protocol._cipher.allocPacket = allocateGcmPacket;
    }
    for (const cipher of [protocol._cipher, protocol._decipher]) {
      for (const name of ['_encKey', '_decipherKey'] as const) {
        const key = cipher[name];
        if (Buffer.isBuffer(key)) cipher[name] = createSecretKey(key);
      }
    }
  });
}

const RANDOM = Buffer.alloc(8192);
let randomUsed = RANDOM.length;

/** Room for a payload at 5, with its length and padding in place: RFC 4253 6, in blocks of 16 without the length (RFC 5647 7.2). */
function allocateGcmPacket(payloadBytes: number): Buffer {
  let padding = 16 - ((1 + payloadBytes) & 15);
  if (padding < 4) padding += 16;
  const packet = Buffer.allocUnsafe(5 + payloadBytes + padding);
  packet.writeUInt32BE(1 + payloadBytes + padding, 0);
  packet[4] = padding;
  if (randomUsed + padding > RANDOM.length) {
    randomFillSync(RANDOM);
    randomUsed = 0;
  }
  packet.set(RANDOM.subarray(randomUsed, randomUsed + padding), 5 + payloadBytes);
  randomUsed += padding;
  return packet;
}
