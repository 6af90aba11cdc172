/**
 * What ssh2's server channels get wrong, mended from outside. Like
 * `raw-connection.ts` it reaches into private parts; `channel.test.ts` fails
 * when one of them has moved.
 */
import type { Writable } from 'node:stream';
import type { Connection, ServerChannel } from 'ssh2';
import { MESSAGE } from './messages.ts';
import { onMessage } from './raw-connection.ts';

const STDERR = 1;

interface Private {
  server: boolean;
  readonly incoming: { readonly id: number };
  readonly outgoing: {
    readonly id: number;
    readonly packetSize: number;
    window: number;
    state: 'open' | 'eof' | 'closing' | 'closed';
  };
  readonly _client: {
    readonly _protocol: {
      channelData(id: number, data: Uint8Array): void;
      channelExtData(id: number, data: Uint8Array, type: number): void;
    };
  };
  /** Whether the next WINDOW_ADJUST calls `_chunkcb`, as it does while there is no `_chunk`. */
  _waitWindow: boolean;
  _chunkcb: () => void;
  _write: Write;
  readonly stderr: Writable & { _write: Write };
}

type Write = (data: Buffer, encoding: string, done: () => void) => void;

interface Piece {
  data: Buffer;
  readonly error: boolean;
  readonly done: () => void;
}

/**
 * Lets standard output and error share the client's window. ssh2 remembers
 * what waits for it in a way that stalls one of them, or sends a part twice,
 * when both wait. Call it as soon as the channel is accepted. Errors of
 * writing to a channel that the client has closed are dropped: nobody is there
 * to be told.
 */
export function mendOutput(channel: ServerChannel): void {
  const inside = channel as unknown as Private;
  const { outgoing } = inside;
  const protocol = inside._client._protocol;
  /** At most one of each output. */
  const waiting: Piece[] = [];
  let pumping = false;

  const pump = (): void => {
    if (pumping) return;
    pumping = true;
    while (outgoing.state === 'open' && outgoing.window > 0) {
      const piece = waiting.shift();
      if (piece === undefined) break;
      const { data } = piece;
      const bytes = Math.min(data.length, outgoing.window, outgoing.packetSize);
      const part = bytes === data.length ? data : data.subarray(0, bytes);
      outgoing.window -= bytes;
      if (piece.error) protocol.channelExtData(outgoing.id, part, STDERR);
      else protocol.channelData(outgoing.id, part);
      if (bytes === data.length) {
        piece.done();
      } else {
        piece.data = data.subarray(bytes);
        // Packet by packet in turns.
        waiting.push(piece);
      }
    }
    pumping = false;
    inside._waitWindow = waiting.length > 0;
  };
  const writeTo =
    (error: boolean): Write =>
    (data, _encoding, done) => {
      if (data.length === 0) return done();
      waiting.push({ data, error, done });
      pump();
    };
  inside._chunkcb = pump;
  inside._write = writeTo(false);
  inside.stderr._write = writeTo(true);
  channel.on('error', () => {});
  channel.stderr.on('error', () => {});
}

/**
 * Lets either side of a forwarded connection end first. ssh2 closes a
 * server's channel as soon as its own side has ended, and drops what the client
 * still says.
 */
export function keepHalfOpen(channel: ServerChannel): void {
  (channel as unknown as Private).server = false;
  let open = 2;
  const ended = (): void => {
    open -= 1;
    if (open === 0) channel.close();
  };
  channel.once('end', ended).once('finish', ended);
}

const END_OF_WRITE = 'eow@openssh.com';

/**
 * Calls back when the client takes no more output of a session but has not
 * closed it (OpenSSH's PROTOCOL, section 2.1): `ssh host yes | head -1` ends by
 * nothing else. OpenSSH's client says it only to servers whose version begins
 * with `OpenSSH`. Call it in the `connection` event; the answer registers a
 * session's channel, until that closes.
 */
export function onEndOfWrite(
  connection: Connection,
): (channel: ServerChannel, listen: () => void) => void {
  const listeners = new Map<number, () => void>();
  onMessage(connection, (payload) => {
    const number = endOfWrite(payload);
    if (number === undefined) return false;
    listeners.get(number)?.();
    return true;
  });
  return (channel, listen) => {
    const { id } = (channel as unknown as Private).incoming;
    listeners.set(id, listen);
    channel.once('close', () => {
      if (listeners.get(id) === listen) listeners.delete(id);
    });
  };
}

/** The channel that such a message is about (RFC 4254, section 5.4). */
function endOfWrite(payload: Buffer): number | undefined {
  // Number, recipient, length and text of the type, whether a reply is wanted.
  if (payload.length !== 9 + END_OF_WRITE.length + 1) return undefined;
  if (payload[0] !== MESSAGE.CHANNEL_REQUEST) return undefined;
  if (payload.readUInt32BE(5) !== END_OF_WRITE.length) return undefined;
  if (payload.toString('latin1', 9, payload.length - 1) !== END_OF_WRITE) return undefined;
  return payload.readUInt32BE(1);
}

/** Reasons of RFC 4254 5.1 that are used. */
export const OPEN_FAILURE = { NOT_ALLOWED: 1, CONNECT_FAILED: 2, NO_ROOM: 4 } as const;

/** Refuses a channel that the client opens, and says why: ssh2's `reject` can only refuse. */
export function refuseChannel(
  connection: Connection,
  reject: () => void,
  reason: (typeof OPEN_FAILURE)[keyof typeof OPEN_FAILURE],
  sentence: string,
): void {
  interface Protocol {
    channelOpenFail?: (recipient: number, reason: number, sentence: string) => void;
  }
  const { _protocol: protocol } = connection as unknown as { readonly _protocol: Protocol };
  const { channelOpenFail } = protocol;
  protocol.channelOpenFail = (recipient) =>
    channelOpenFail?.call(protocol, recipient, reason, sentence);
  try {
    reject();
  } finally {
    // What stays is the method of the class.
    delete protocol.channelOpenFail;
  }
}
