import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createServer as createTcpServer, type AddressInfo } from 'node:net';
import type { Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocketServer } from 'ws';

/** A workload that speaks every kind of traffic, at a pace: so that something is always under way. */
export interface App extends AsyncDisposable {
  readonly port: number;
  /** Plain TCP: sends back what comes, and ends when the other side has. */
  readonly echoPort: number;
}

/** Between two events, messages or pieces, in ms. */
export const PACE_MS = 20;
export const PIECE_BYTES = 32 * 1024;

/** Every byte follows from its position in the stream. */
export function piece(number: number, bytes = PIECE_BYTES): Buffer {
  return Buffer.alloc(bytes, createHash('sha512').update(String(number)).digest());
}

/** Resolves once `stream` takes more, or never will. */
export async function drainedOrClosed(stream: Writable): Promise<void> {
  const over = new AbortController();
  const { signal } = over;
  try {
    await Promise.race([once(stream, 'drain', { signal }), once(stream, 'close', { signal })]);
  } finally {
    over.abort();
  }
}

export async function startApp(): Promise<App> {
  const server = createServer(async (request, response) => {
    const url = new URL(request.url ?? '/', 'http://app');
    const count = Number(url.searchParams.get('count'));
    if (url.pathname === '/upload') {
      const hash = createHash('sha256');
      let bytes = 0;
      request.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        hash.update(chunk);
      });
      request.on('end', () => response.end(JSON.stringify({ bytes, sha256: hash.digest('hex') })));
      return;
    }
    if (url.pathname === '/events') response.setHeader('content-type', 'text/event-stream');
    const bytes = Number(url.searchParams.get('bytes') ?? PIECE_BYTES);
    for (let i = 0; i < count && !response.destroyed; i++) {
      const taken = response.write(url.pathname === '/events' ? `data: ${i}\n\n` : piece(i, bytes));
      if (!taken) await drainedOrClosed(response);
      await sleep(PACE_MS);
    }
    response.end();
  });
  const sockets = new WebSocketServer({ server });
  sockets.on('connection', (socket) =>
    socket.on('message', (data) => socket.send(data as Buffer, { binary: false })),
  );
  const echo = createTcpServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {});
    socket.pipe(socket);
  });
  for (const each of [server, echo]) {
    each.listen(0, '127.0.0.1');
    await once(each, 'listening');
  }
  return {
    port: (server.address() as AddressInfo).port,
    echoPort: (echo.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      // Who still has a connection loses it with the workspace's agent.
      echo.close();
      echo.unref();
      for (const socket of sockets.clients) socket.terminate();
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
