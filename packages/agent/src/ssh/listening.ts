import type { ListenOptions, Server, Socket } from 'node:net';
import { createServer } from 'node:net';

/**
 * Resolves once the server listens; rejects with what the system says. A unix
 * socket is for the agent's user alone.
 */
export function listen(
  options: ListenOptions,
  onSocket: (socket: Socket) => void,
): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer({ allowHalfOpen: true, noDelay: true }, onSocket);
    server.once('error', reject);
    // The socket file is made before `listen` returns, and never with more rights, not even for a moment.
    const before = options.path === undefined ? undefined : process.umask(0o177);
    try {
      server.listen(options, () => {
        server.off('error', reject);
        server.on('error', () => {});
        resolve(server);
      });
    } finally {
      if (before !== undefined) process.umask(before);
    }
  });
}
