import type { Duplex } from 'node:stream';
import { parseProxyHeader } from './proxy-protocol.ts';

export type Protocol = 'tls' | 'http2' | 'http1';

export interface Sniffed {
  readonly protocol: Protocol;
  /** From a PROXY header. */
  readonly address: string | undefined;
}

export interface SniffOptions {
  /** A PROXY header comes first. */
  readonly proxyHeader: boolean;
  /** Bounds the wait. */
  readonly signal: AbortSignal;
}

/** First bytes of HTTP/2 with prior knowledge (RFC 9113 section 3.4); enough of it to rule out any HTTP/1 method in use. */
const H2_PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');
/** RFC 8446 section 5.1: record type handshake. */
const TLS_HANDSHAKE = 0x16;

/**
 * Looks at the first bytes of a connection and puts them back. Bounded in time
 * by the signal and in bytes by the longest header. Rejects when the peer
 * closes, is silent for too long, or its PROXY header is malformed.
 */
export function sniff(socket: Duplex, options: SniffOptions): Promise<Sniffed> {
  return new Promise((resolve, reject) => {
    let seen: Buffer = Buffer.alloc(0);
    let wantsProxy = options.proxyHeader;
    let address: string | undefined;

    const stop = (): void => {
      socket.removeListener('readable', onReadable);
      socket.removeListener('end', onEnd);
      socket.removeListener('close', onEnd);
      socket.removeListener('error', fail);
      options.signal.removeEventListener('abort', onAbort);
    };
    const fail = (error: Error): void => {
      stop();
      reject(error);
    };
    const onEnd = (): void => fail(new Error('the peer closed before it said anything'));
    const onAbort = (): void => fail(options.signal.reason as Error);
    const settle = (protocol: Protocol): void => {
      stop();
      if (seen.length > 0) socket.unshift(seen);
      resolve({ protocol, address });
    };

    function onReadable(): void {
      const chunk = socket.read() as Buffer | null;
      if (chunk === null) return;
      seen = seen.length === 0 ? chunk : Buffer.concat([seen, chunk]);
      if (wantsProxy) {
        const header = parseProxyHeader(seen);
        if (header.kind === 'invalid') return fail(new Error(header.reason));
        if (header.kind === 'incomplete') return;
        wantsProxy = false;
        address = header.address;
        seen = seen.subarray(header.length);
      }
      const protocol = protocolOf(seen);
      if (protocol !== undefined) settle(protocol);
    }

    if (options.signal.aborted) return onAbort();
    options.signal.addEventListener('abort', onAbort, { once: true });
    socket.on('readable', onReadable);
    socket.once('end', onEnd);
    socket.once('close', onEnd);
    socket.once('error', fail);
    if (socket.readableLength > 0) onReadable();
  });
}

/** Undefined: too few bytes to tell. */
export function protocolOf(bytes: Buffer): Protocol | undefined {
  if (bytes.length === 0) return undefined;
  if (bytes[0] === TLS_HANDSHAKE) return 'tls';
  const length = Math.min(bytes.length, H2_PREFACE.length);
  if (bytes.compare(H2_PREFACE, 0, length, 0, length) !== 0) return 'http1';
  return length === H2_PREFACE.length ? 'http2' : undefined;
}
