import {
  createServer as createHttp2Server,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2';
import { createServer as createNetServer, type AddressInfo, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import {
  createServer as createTlsServer,
  type Server as TlsServer,
  type TLSSocket,
} from 'node:tls';
import { isLoopback, plainAddress, type AddressSet } from '../config/address-range.ts';
import { RelayError } from '../errors.ts';
import { watchCertificate, type WatchedCertificate } from './certificate.ts';
import type { ConnectionInfo } from './connection.ts';
import { connectionCap } from './connection-cap.ts';
import { HTTP2_SERVER_OPTIONS } from './http2-options.ts';
import { Http2Sessions } from './http2-sessions.ts';
import { sniff } from './sniff.ts';

export interface ListenerOptions {
  readonly host: string;
  readonly port: number;
  readonly tls?:
    | { readonly certFile: string; readonly keyFile: string; readonly pollMs?: number }
    | undefined;
  /** Share the port with other processes (SO_REUSEPORT). */
  readonly reusePort?: boolean;
  readonly proxyProtocol: boolean;
  readonly trusted: AddressSet;
  readonly sniffTimeoutMs: number;
  readonly maxConnections: number;
  readonly maxConnectionsPerAddress: number;
  /** Takes over an HTTP/1 connection; its first bytes are unread. Must handle the socket's errors. */
  readonly onHttp1: (socket: Duplex, info: ConnectionInfo) => void;
  /** Takes over an HTTP/2 request. Must handle the stream's errors. */
  readonly onHttp2: (
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    rawHeaders: readonly string[],
    info: ConnectionInfo,
  ) => void;
  readonly log: ListenerLog;
  /** HTTP/2 sessions without a request are closed after so long. ms */
  readonly idleSessionMs?: number;
  /** Told of each refused connection, for metrics. */
  readonly onRefused?: (why: RefusedConnection) => void;
}

export type RefusedConnection = 'cap' | 'sniff' | 'proxy-header' | 'tls';

export interface ListenerLog {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface Listener {
  /** Resolves with the bound port. Rejects with RelayError `config-invalid` or `unavailable` (address in use). */
  start(): Promise<number>;
  /** Lets connections in; those that came since `start` were held. */
  open(): void;
  /** Takes no new connection. Existing ones live. */
  stopAccepting(): void;
  /** Asks HTTP/2 clients to go elsewhere (GOAWAY); running streams go on. */
  drain(): void;
  /** Cuts what is left. Idempotent. */
  close(): Promise<void>;
  /** Reads the certificate again now. */
  reloadCertificate(): Promise<void>;
  readonly connections: number;
}

/** One TCP port for TLS, HTTP/2 and HTTP/1, told apart by first bytes and ALPN. */
export function createListener(options: ListenerOptions): Listener {
  const cap = connectionCap({
    total: options.maxConnections,
    perAddress: options.maxConnectionsPerAddress,
    exempt: (address) => isLoopback(address) || options.trusted.has(address),
  });
  const sockets = new Set<Socket>();
  const sessions = new Http2Sessions(options.idleSessionMs);
  let certificate: WatchedCertificate | undefined;
  let tlsServer: TlsServer | undefined;
  let draining = false;
  const opened = Promise.withResolvers<void>();
  let isOpen = false;

  const http2 = http2Server();
  // allowHalfOpen: an HTTP/1 client may end its side and still read the answer.
  const server = createNetServer(
    { allowHalfOpen: true, noDelay: true },
    (socket) => void accept(socket),
  );

  async function accept(socket: Socket): Promise<void> {
    const peer = plainAddress(socket.remoteAddress ?? '');
    // Without a listener a reset during sniffing would end the process.
    socket.on('error', ignore);
    if (peer === '' || !cap.enter(peer)) {
      options.onRefused?.('cap');
      socket.destroy();
      return;
    }
    sockets.add(socket);
    socket.once('close', () => {
      sockets.delete(socket);
      cap.leave(peer);
    });
    if (!isOpen) await opened.promise;
    const trusted = options.trusted.has(peer);
    const proxyHeader = options.proxyProtocol && trusted;
    try {
      const signal = AbortSignal.timeout(options.sniffTimeoutMs);
      const { protocol, address } = await sniff(socket, { proxyHeader, signal });
      const remoteAddress = address ?? peer;
      const info = {
        remoteAddress,
        secure: false,
        trustedProxy: address === undefined ? trusted : options.trusted.has(address),
      };
      if (protocol === 'tls' && tlsServer !== undefined) {
        remember(socket, { ...info, secure: true });
        // A TLS socket takes the handle over; half-open is the TLS socket's affair then.
        socket.allowHalfOpen = false;
        tlsServer.emit('connection', socket);
      } else if (protocol === 'tls') refuse(socket, 'tls', 'TLS on a port without a certificate');
      else hand(socket, protocol, info);
    } catch (error) {
      refuse(socket, proxyHeader ? 'proxy-header' : 'sniff', (error as Error).message);
    }
  }

  function hand(socket: Socket, protocol: 'http1' | 'http2', info: ConnectionInfo): void {
    if (protocol === 'http1') return options.onHttp1(socket, info);
    // Not in `session` below: destroying a session whose first bytes wait makes node:http2 throw.
    if (draining) return void socket.destroy();
    socket.allowHalfOpen = false;
    remember(socket, info);
    http2.emit('connection', socket);
  }

  function refuse(socket: Socket, why: RefusedConnection, reason: string): void {
    options.onRefused?.(why);
    options.log.debug({ peer: socket.remoteAddress, why, reason }, 'connection refused');
    socket.destroy();
  }

  function http2Server(): Http2Server {
    const created = createHttp2Server(HTTP2_SERVER_OPTIONS);
    created.on('session', (session) => {
      const info = recall(session.socket);
      sessions.add(session);
      session.on(
        'stream',
        (
          stream: ServerHttp2Stream,
          headers: IncomingHttpHeaders,
          _flags: number,
          rawHeaders: string[],
        ) => options.onHttp2(stream, headers, rawHeaders, info),
      );
    });
    // Errors of a session end that session; the rooms learn of it by their streams.
    created.on('sessionError', (error: Error) =>
      options.log.debug({ error: error.message }, 'HTTP/2 session failed'),
    );
    created.on('unknownProtocol', (socket: Duplex) => socket.destroy());
    return created;
  }

  async function startTls(files: {
    certFile: string;
    keyFile: string;
    pollMs?: number;
  }): Promise<void> {
    certificate = await watchCertificate({
      ...files,
      onChange: (next) => {
        tlsServer?.setSecureContext({ ...next, ...TLS_CONTEXT });
        options.log.info({ certFile: files.certFile }, 'TLS certificate reloaded');
      },
      onError: (error) =>
        options.log.error(
          { certFile: files.certFile, error: error.message },
          'the new TLS certificate cannot be used; the old one stays',
        ),
    });
    tlsServer = createTlsServer({
      ...certificate.initial,
      ...TLS_CONTEXT,
      ALPNProtocols: ['h2', 'http/1.1'],
      handshakeTimeout: options.sniffTimeoutMs,
      allowHalfOpen: true,
    });
    tlsServer.on('secureConnection', (socket: TLSSocket) => {
      socket.on('error', ignore);
      const info = recall((socket as unknown as { _parent: object })._parent);
      hand(socket, socket.alpnProtocol === 'h2' ? 'http2' : 'http1', info);
    });
    tlsServer.on('tlsClientError', (error: Error, socket: TLSSocket) => {
      options.onRefused?.('tls');
      options.log.debug(
        { peer: socket.remoteAddress, error: error.message },
        'TLS handshake failed',
      );
      socket.destroy();
    });
  }

  return {
    async start() {
      if (options.tls !== undefined) await startTls(options.tls);
      await new Promise<void>((resolve, reject) => {
        server.once('error', (error: NodeJS.ErrnoException) => reject(listenError(error, options)));
        server.listen(
          {
            host: options.host,
            port: options.port,
            backlog: 2048,
            reusePort: options.reusePort === true,
          },
          () => resolve(),
        );
      });
      server.on('error', (error) =>
        options.log.error({ error: error.message }, 'cannot accept connections'),
      );
      return (server.address() as AddressInfo).port;
    },
    open() {
      isOpen = true;
      opened.resolve();
    },
    stopAccepting() {
      server.close();
    },
    drain() {
      draining = true;
      sessions.drain();
    },
    async close() {
      draining = true;
      certificate?.close();
      const closed = server.listening
        ? new Promise<void>((resolve) => server.close(() => resolve()))
        : undefined;
      sessions.drain();
      await sessions.ended(LAST_WORDS_MS);
      sessions.destroy();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
    async reloadCertificate() {
      await certificate?.check();
    },
    get connections() {
      return cap.size;
    },
  };
}

/** For the reason of a link's end, say, to reach the agent. */
const LAST_WORDS_MS = 300;

const TLS_CONTEXT = { minVersion: 'TLSv1.2', honorCipherOrder: true } as const;

const ignore = (): void => {};

/**
 * On the socket itself, as `session.socket` is a proxy that shows the socket's
 * properties without being it.
 */
const INFO = Symbol('connection info');

function remember(socket: object, info: ConnectionInfo): void {
  (socket as Record<symbol, ConnectionInfo>)[INFO] = info;
}

function recall(socket: object): ConnectionInfo {
  const info = (socket as Record<symbol, ConnectionInfo | undefined>)[INFO];
  if (info === undefined) throw new Error('a connection reached a server around the listener');
  return info;
}

function listenError(
  error: NodeJS.ErrnoException,
  options: { host: string; port: number },
): RelayError {
  const at = `${options.host}:${options.port}`;
  if (error.code === 'EADDRINUSE') {
    return new RelayError(
      'unavailable',
      `cannot listen on ${at}: another process uses this port. Stop it, or choose another with --listen-port.`,
      { cause: error },
    );
  }
  if (error.code === 'EACCES') {
    return new RelayError(
      'unavailable',
      `cannot listen on ${at}: not allowed. Ports below 1024 need a privilege.`,
      { cause: error },
    );
  }
  return new RelayError('config-invalid', `cannot listen on ${at}: ${error.message}`, {
    cause: error,
  });
}
