import { connect, constants } from 'node:http2';
import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders } from 'node:http2';
import { connect as tcpConnect } from 'node:net';
import { connect as tlsConnect, type SecureContext } from 'node:tls';
import type { Duplex } from 'node:stream';

import { TunnelError } from '../errors.ts';
import { greetAsDialler } from '../link/handshake.ts';
import type { Dial, DialOptions } from '../types.ts';
import { CONNECT_PATH, CONTENT_TYPE } from './accept.ts';
import { Http2Transport } from './http2-transport.ts';
import { GRPC_CLIENT_OPTIONS, widen } from './settings.ts';
import { errorFromTrailers } from './status.ts';

/** Opens a link over gRPC, on a connection of its own. */
export const dialGrpc: Dial = async (options) => {
  const { url, signal } = options;
  signal.throwIfAborted();
  const socket = await openSocket(options);
  if (signal.aborted) {
    socket.destroy();
    throw signal.reason;
  }
  const session = connect(url, { ...GRPC_CLIENT_OPTIONS, createConnection: () => socket });
  session.on('error', () => {
    // The stream's own error says the same.
  });
  session.once('connect', () => widen(session));
  const stream = session.request({
    ':method': 'POST',
    ':path': CONNECT_PATH,
    'content-type': CONTENT_TYPE,
    te: 'trailers',
    'user-agent': options.hello.software,
    authorization: `Bearer ${options.token}`,
  });
  stream.once('close', () => session.destroy());
  return greetAsDialler(new Http2Transport(stream, clientEnd(stream, session)), options);
};

function clientEnd(stream: ClientHttp2Stream, session: ClientHttp2Session) {
  let said: TunnelError | undefined;
  stream.once('response', (headers: IncomingHttpHeaders & { ':status'?: number }) => {
    said = errorFromTrailers(headers);
    if (said !== undefined) return;
    const status = headers[':status'];
    const type = headers['content-type'] ?? '';
    if (status === 200 && type.startsWith('application/grpc')) return;
    said = new TunnelError(
      'unavailable',
      `The relay's address answered HTTP ${status} with content type "${type}" instead of gRPC; is the URL right, and does every proxy on the way pass HTTP/2?`,
      { remote: true },
    );
    stream.close(constants.NGHTTP2_CANCEL);
  });
  stream.once('trailers', (trailers: IncomingHttpHeaders) => {
    said ??= errorFromTrailers(trailers);
  });
  return {
    close: () => {
      if (!stream.destroyed) stream.end(() => stream.close(constants.NGHTTP2_CANCEL));
      setImmediate(() => session.close());
    },
    reason: () => said,
  };
}

async function openSocket(options: DialOptions): Promise<Duplex> {
  const { url, signal, ca } = options;
  const secure = url.protocol === 'https:';
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const port = Number(url.port || (secure ? 443 : 80));
  const raw = await (options.connect?.(signal) ?? tcp(host, port, signal));
  if (!secure) return raw;
  const socket = tlsConnect({
    socket: raw,
    ALPNProtocols: ['h2'],
    // The name that the certificate must have; SNI (RFC 6066) allows no addresses.
    host,
    ...(isIp(host) ? {} : { servername: host }),
    ...(ca === undefined ? {} : { secureContext: await contextWith(ca) }),
  });
  await ready(socket, 'secureConnect', signal, `TLS with ${url.host}`);
  if (socket.alpnProtocol !== 'h2') {
    socket.destroy();
    throw new TunnelError('unavailable', `${url.host} does not offer HTTP/2 on TLS (ALPN).`);
  }
  return socket;
}

async function tcp(host: string, port: number, signal: AbortSignal): Promise<Duplex> {
  const socket = tcpConnect({ host, port, noDelay: true });
  await ready(socket, 'connect', signal, `${host}:${port}`);
  return socket;
}

/** The last one made: reading some 140 root certificates takes 20 ms of a core, and each link is dialled with the same. */
let known: { readonly ca: string; readonly context: SecureContext } | undefined;

/** Extra authorities must add to the known ones, not replace them. */
async function contextWith(ca: string): Promise<SecureContext> {
  const { createSecureContext, rootCertificates } = await import('node:tls');
  if (known?.ca !== ca)
    known = { ca, context: createSecureContext({ ca: [...rootCertificates, ca] }) };
  return known.context;
}

function isIp(host: string): boolean {
  return /^[\d.]+$/.test(host) || host.includes(':');
}

function ready(socket: Duplex, event: string, signal: AbortSignal, what: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (then: () => void): void => {
      socket.off(event, onReady).off('error', onError).off('close', onClose);
      signal.removeEventListener('abort', onAbort);
      then();
    };
    const fail = (error: unknown): void => {
      settle(() => reject(error));
      socket.on('error', () => {}).destroy();
    };
    const onReady = (): void => settle(resolve);
    const onError = (cause: Error): void => {
      fail(new TunnelError('unavailable', `No connection to ${what}: ${cause.message}`, { cause }));
    };
    const onClose = (): void => {
      fail(new TunnelError('unavailable', `No connection to ${what}: it was closed.`));
    };
    const onAbort = (): void => fail(signal.reason);
    socket.once(event, onReady).once('error', onError).once('close', onClose);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
  });
}
