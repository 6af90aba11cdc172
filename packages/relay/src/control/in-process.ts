import type { Duplex } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import { memorySocketPair } from './memory-socket.ts';

export interface InProcessServer {
  /** A connection to the app, as a TCP socket would be: HTTP/1.1, keep-alive, half-close. */
  connect(): Duplex;
  /** Ends every connection. Idempotent. The app itself stays. */
  close(): Promise<void>;
}

/** Reaches an app (already `ready`) that listens on no port. */
export function inProcessServer(app: FastifyInstance): InProcessServer {
  const open = new Set<Duplex>();
  let closed = false;
  // node:http takes the end of input for a client that went away, unless told.
  Object.assign(app.server, { httpAllowHalfOpen: true });

  return {
    connect() {
      const { client, server } = memorySocketPair();
      if (closed) {
        client.destroy();
        return client;
      }
      open.add(client);
      client.once('close', () => open.delete(client));
      app.server.emit('connection', server);
      return client;
    },
    async close() {
      closed = true;
      const gone = [...open].map((each) => new Promise((resolve) => each.once('close', resolve)));
      for (const each of open) each.destroy();
      await Promise.all(gone);
    },
  };
}
