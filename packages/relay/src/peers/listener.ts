import {
  createSecureServer,
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import { GRPC_SERVER_OPTIONS } from '@burrow/tunnel/grpc';
import { RelayError } from '../errors.ts';
import type { PeersLog } from './contracts.ts';
import type { PeerLimits } from './limits.ts';
import type { PeerTls } from './tls.ts';

export interface PeerListenerOptions {
  readonly host: string;
  readonly port: number;
  readonly tls: PeerTls | undefined;
  readonly limits: Pick<PeerLimits, 'connections' | 'silentMs'>;
  readonly log: PeersLog;
  /** Handles the stream's errors from then on. */
  readonly onStream: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void;
}

export interface PeerListener {
  /** Resolves with the bound port. Rejects with RelayError. */
  start(): Promise<number>;
  /** Takes no more connections; those that are there live. */
  stopAccepting(): void;
  /** Cuts what is left. Idempotent. */
  close(): Promise<void>;
}

/** The HTTP/2 port that only relays reach: h2c, or TLS in which both sides show a certificate. */
export function peerListener(options: PeerListenerOptions): PeerListener {
  const { host, port, tls, limits, log } = options;
  const sockets = new Set<Socket>();
  const settings = {
    ...GRPC_SERVER_OPTIONS,
    settings: {
      ...GRPC_SERVER_OPTIONS.settings,
      // A link has its session to itself, and so has a question.
      maxConcurrentStreams: 2,
      maxHeaderListSize: 8 << 10,
      enablePush: false,
    },
    maxSessionInvalidFrames: 100,
    unknownProtocolTimeout: limits.silentMs,
  };
  let server: Http2Server;
  if (tls === undefined) server = createServer(settings);
  else {
    const secure = createSecureServer({
      ...settings,
      ...tls.current,
      minVersion: 'TLSv1.3',
      requestCert: true,
      rejectUnauthorized: true,
      handshakeTimeout: limits.silentMs,
    });
    tls.onChange((certificate) => secure.setSecureContext(certificate));
    secure.on('tlsClientError', (error) => {
      log.info({ error: error.message }, 'a connection to the peer port failed in TLS');
    });
    server = secure;
  }
  server.maxConnections = limits.connections;
  // Not the sessions: one that has said its last words waits for its peer without end.
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  server.on('session', (session) => {
    session.on('error', () => {});
    session.setTimeout(limits.silentMs, () => session.destroy());
  });
  server.on('sessionError', () => {});
  server.on('stream', (stream, headers) => options.onStream(stream, headers));

  let closed: Promise<void> | undefined;
  const closeServer = (): Promise<void> =>
    (closed ??= new Promise((resolve) => {
      if (server.listening) server.close(() => resolve());
      else resolve();
    }));

  return {
    start: () =>
      new Promise((resolve, reject) => {
        const failed = (cause: NodeJS.ErrnoException): void => {
          const why = cause.code === 'EADDRINUSE' ? 'something else listens there' : cause.message;
          reject(
            new RelayError(
              cause.code === 'EADDRINUSE' ? 'unavailable' : 'config-invalid',
              `cannot listen for other relays on ${host}:${port} (cluster.peer): ${why}`,
              { cause },
            ),
          );
        };
        server.once('error', failed);
        server.listen({ host, port }, () => {
          server.off('error', failed);
          server.on('error', (error) =>
            log.error({ error: error.message }, 'the peer port failed'),
          );
          resolve((server.address() as AddressInfo).port);
        });
      }),
    stopAccepting: () => void closeServer(),
    async close() {
      const ended = closeServer();
      for (const socket of sockets) socket.destroy();
      await ended;
    },
  };
}
