import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { TunnelError } from '@burrow/tunnel';
import { CONNECT_PATH, trailersOf } from '@burrow/tunnel/grpc';
import { acceptWebSocket, MAX_MESSAGE_BYTES, SUBPROTOCOL } from '@burrow/tunnel/websocket';
import { WebSocketServer, type WebSocket } from 'ws';
import { bearerToken } from '../auth/bearer.ts';
import type { Admission, LinkOrigin } from './admission.ts';

/** How long the handshake's answer may take to leave. ms */
const UPGRADE_WITHIN_MS = 10_000;

/** Takes the upgrades that are its own; others are left alone. Returns whether it took it. */
export type UpgradeHandler = (request: IncomingMessage, socket: Duplex, head: Buffer) => boolean;

export interface WebSocketEndpoint {
  /** Takes upgrades of the link path. */
  readonly handle: UpgradeHandler;
  /** Listens to a server's upgrades and refuses those that neither this nor `others` takes. Returns what undoes it. */
  attach(server: Server, ...others: readonly UpgradeHandler[]): () => void;
}

/**
 * Links over WebSocket, for networks whose proxies break HTTP/2. `originOf`:
 * where a request comes from. The fields of that name are the gateway's own.
 */
export function websocketEndpoint(
  admission: Admission,
  originOf: (request: IncomingMessage) => LinkOrigin,
): WebSocketEndpoint {
  const server = new WebSocketServer({
    noServer: true,
    // Compressing what is mostly compressed or encrypted costs memory and gains nothing.
    perMessageDeflate: false,
    maxPayload: MAX_MESSAGE_BYTES,
    handleProtocols: (protocols) => (protocols.has(SUBPROTOCOL) ? SUBPROTOCOL : false),
  });

  async function connect(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    if (!offers(request, SUBPROTOCOL)) {
      return refuse(
        socket,
        400,
        new TunnelError(
          'unsupported-revision',
          `The WebSocket must offer the subprotocol ${SUBPROTOCOL}.`,
        ),
      );
    }
    let upgraded = false;
    const refusal = await admission.admit({
      ...originOf(request),
      transport: 'websocket',
      token: bearerToken(request.headers.authorization),
      accept: async (options) => {
        const websocket = await upgrade(request, socket, head);
        upgraded = true;
        return acceptWebSocket(websocket, options);
      },
    });
    if (refusal === undefined) return;
    if (upgraded) socket.destroy();
    else refuse(socket, httpStatus(refusal), refusal);
  }

  function upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<WebSocket> {
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => lost(), UPGRADE_WITHIN_MS);
      const lost = (): void => {
        clearTimeout(late);
        socket.removeListener('close', lost);
        reject(new TunnelError('link-lost', 'The WebSocket was not established.'));
      };
      socket.once('close', lost);
      server.handleUpgrade(request, socket, head, (websocket) => {
        clearTimeout(late);
        socket.removeListener('close', lost);
        resolve(websocket);
      });
    });
  }

  function handle(request: IncomingMessage, socket: Duplex, head: Buffer): boolean {
    if (request.url !== CONNECT_PATH) return false;
    socket.on('error', () => {});
    void connect(request, socket, head);
    return true;
  }

  return {
    handle,
    attach(target, ...others) {
      const onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
        for (const take of [handle, ...others]) if (take(request, socket, head)) return;
        socket.on('error', () => {});
        socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
      };
      target.on('upgrade', onUpgrade);
      return () => target.removeListener('upgrade', onUpgrade);
    },
  };
}

function offers(request: IncomingMessage, subprotocol: string): boolean {
  const offered = request.headers['sec-websocket-protocol'] ?? '';
  return offered.split(',').some((part) => part.trim() === subprotocol);
}

function httpStatus(error: TunnelError): number {
  if (error.code.startsWith('token-')) return 401;
  return error.code === 'too-many-links' ? 429 : 503;
}

const PHRASES: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  429: 'Too Many Requests',
  503: 'Service Unavailable',
};

/** The same facts as gRPC's trailers, as header fields: diallers read them there. */
function refuse(socket: Duplex, status: number, error: TunnelError): void {
  if (socket.destroyed || socket.writableEnded) return;
  const body = `${JSON.stringify({ error: { code: error.code, message: error.message } })}\n`;
  const fields = {
    ...trailersOf(error),
    'Content-Type': 'application/json',
    'Content-Length': String(Buffer.byteLength(body)),
    'Cache-Control': 'no-store',
    Connection: 'close',
  };
  const head = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${status} ${PHRASES[status] ?? ''}\r\n${head.join('')}\r\n${body}`);
}
