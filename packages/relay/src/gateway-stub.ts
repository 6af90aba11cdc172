import type { ServerHttp2Stream, IncomingHttpHeaders } from 'node:http2';
import type { Duplex } from 'node:stream';
import type { GatewayDeps } from './http/gateway-deps.ts';
import type { ConnectionInfo } from './listen/connection.ts';

/** Stands in until the HTTP engine is there: everything goes to the control server. */
export function createGateway(deps: GatewayDeps) {
  const sockets = new Set<Duplex>();
  return {
    http1(socket: Duplex, _info: ConnectionInfo): void {
      const inner = deps.control.connect();
      sockets.add(socket);
      socket.on('error', () => inner.destroy());
      inner.on('error', () => socket.destroy());
      socket.on('close', () => {
        sockets.delete(socket);
        inner.destroy();
      });
      socket.pipe(inner).pipe(socket);
    },
    http2(
      stream: ServerHttp2Stream,
      _h: IncomingHttpHeaders,
      _raw: readonly string[],
      _i: ConnectionInfo,
    ): void {
      stream.respond({ ':status': 501 }, { endStream: true });
    },
    active: 0,
    drain(): void {},
    close(): Promise<void> {
      for (const socket of sockets) socket.destroy();
      return Promise.resolve();
    },
  };
}
