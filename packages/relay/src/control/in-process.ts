import { duplexPair, type Duplex } from 'node:stream';
import type { FastifyInstance } from 'fastify';

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

  return {
    connect() {
      const [client, server] = duplexPair();
      // What a socket has and node:http or Fastify ask for.
      Object.assign(server, { remoteAddress: '127.0.0.1', remoteFamily: 'IPv4' });
      tie(client, server);
      tie(server, client);
      open.add(client);
      client.once('close', () => open.delete(client));
      if (closed) client.destroy();
      else app.server.emit('connection', server);
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

/** One end destroyed before its end was heard: the other one fails as a reset socket does. */
function tie(from: Duplex, to: Duplex): void {
  from.on('error', () => {});
  from.once('close', () => {
    if (to.destroyed) return;
    if (from.writableFinished && to.readable) {
      // All was sent: the reader may still take it in, nothing can be answered.
      if (to.readableEnded) to.destroy();
      else to.once('end', () => to.destroy());
      return;
    }
    to.destroy(Object.assign(new Error('the other end is gone'), { code: 'ECONNRESET' }));
  });
}
