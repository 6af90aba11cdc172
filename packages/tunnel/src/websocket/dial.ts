import { connect as tcpConnect } from 'node:net';
import { connect as tlsConnect, rootCertificates } from 'node:tls';
import type { Duplex } from 'node:stream';

import { WebSocket } from 'ws';

import { TunnelError } from '../errors.ts';
import { CONNECT_PATH } from '../grpc/accept.ts';
import { errorFromTrailers } from '../grpc/status.ts';
import { greetAsDialler } from '../link/handshake.ts';
import { MAX_FRAME_BYTES, BATCH_BYTES } from '../limits.ts';
import type { Dial, DialOptions } from '../types.ts';
import { SUBPROTOCOL, WsTransport } from './ws-transport.ts';

/** What `ws` hands over when the answer is not 101. */
interface Response {
  readonly statusCode?: number | undefined;
  readonly headers: Readonly<Record<string, unknown>>;
}

/** A batch is at most this long (the last frame may exceed BATCH_BYTES). */
export const MAX_MESSAGE_BYTES = 4 * (BATCH_BYTES + MAX_FRAME_BYTES);

/** Opens a link over a WebSocket, for networks that break HTTP/2. */
export const dialWebSocket: Dial = async (options) => {
  const { signal } = options;
  signal.throwIfAborted();
  const raw = await options.connect?.(signal);
  const socket = new WebSocket(wsUrl(options.url), SUBPROTOCOL, {
    headers: { authorization: `Bearer ${options.token}`, 'user-agent': options.hello.software },
    perMessageDeflate: false,
    maxPayload: MAX_MESSAGE_BYTES,
    ...(raw === undefined && options.ca === undefined
      ? {}
      : { createConnection: () => makeSocket(options, raw) }),
  });
  await opened(socket, signal);
  return greetAsDialler(new WsTransport(socket), options);
};

function wsUrl(url: URL): URL {
  const target = new URL(CONNECT_PATH, url);
  target.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  return target;
}

function makeSocket(options: DialOptions, raw: Duplex | undefined): import('node:net').Socket {
  const { url, ca } = options;
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const secure = url.protocol === 'https:';
  const port = Number(url.port || (secure ? 443 : 80));
  if (!secure) return (raw ?? tcpConnect({ host, port })) as import('node:net').Socket;
  return tlsConnect({
    ...(raw === undefined ? { host, port } : { socket: raw }),
    ALPNProtocols: ['http/1.1'],
    ...(/^[\d.]+$|:/.test(host) ? {} : { servername: host }),
    ...(ca === undefined ? {} : { ca: [...rootCertificates, ca] }),
  });
}

function opened(socket: WebSocket, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (then: () => void): void => {
      socket.off('open', onOpen).off('error', onError).off('unexpected-response', onResponse);
      signal.removeEventListener('abort', onAbort);
      then();
    };
    const fail = (error: unknown): void => {
      settle(() => reject(error));
      socket.on('error', () => {}).terminate();
    };
    const onOpen = (): void => settle(resolve);
    const onError = (cause: Error): void => {
      fail(
        new TunnelError('unavailable', `No WebSocket to the relay: ${cause.message}`, { cause }),
      );
    };
    const onResponse = (_request: unknown, response: Response): void => {
      fail(
        errorFromTrailers(response.headers) ??
          new TunnelError(
            'unavailable',
            `The relay's address answered the WebSocket with HTTP ${response.statusCode}.`,
            { remote: true },
          ),
      );
    };
    const onAbort = (): void => fail(signal.reason);
    socket.once('open', onOpen).once('error', onError).once('unexpected-response', onResponse);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
  });
}
