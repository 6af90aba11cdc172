/** Upstreams that answer with exact bytes, and remember what they were asked. */
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';

export interface SeenRequest {
  /** The request line. */
  readonly line: string;
  /** Header lines, as they came. */
  readonly headers: readonly string[];
}

export interface Upstream extends AsyncDisposable {
  readonly port: number;
  /** Every request head, in order. */
  readonly seen: readonly SeenRequest[];
}

/**
 * `serve` is called once per request head (one connection may bring several), with the
 * bytes that came behind it; what follows arrives as `data` of the socket.
 */
export type Serve = (socket: Socket, request: SeenRequest, rest: Buffer) => void;

export async function rawUpstream(serve: Serve): Promise<Upstream> {
  const seen: SeenRequest[] = [];
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {});
    let held = Buffer.alloc(0);
    const read = (bytes: Buffer): void => {
      held = Buffer.concat([held, bytes]);
      const end = held.indexOf('\r\n\r\n');
      if (end < 0) return;
      const [line = '', ...headers] = held.toString('latin1', 0, end).split('\r\n');
      const rest = held.subarray(end + 4);
      held = Buffer.alloc(0);
      const request = { line, headers };
      seen.push(request);
      // A request with a body has the connection for itself; others may be followed by more.
      if (
        headers.some((each) => /^(content-length: *[1-9]|transfer-encoding:|upgrade:)/i.test(each))
      )
        socket.off('data', read);
      serve(socket, request, rest);
    };
    socket.on('data', read);
    socket.on('end', () => {
      // A case that listens for the end itself says goodbye itself.
      if (socket.listenerCount('end') === 1) socket.end();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    seen,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
