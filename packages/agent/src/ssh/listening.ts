import type { ListenOptions, Server, Socket } from 'node:net';
import { createServer } from 'node:net';

/** Resolves once the server listens; rejects with what the system says. */
export function listen(
  options: ListenOptions,
  onSocket: (socket: Socket) => void,
): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer({ allowHalfOpen: true, noDelay: true }, onSocket);
    server.once('error', reject);
    server.listen(options, () => {
      server.off('error', reject);
      server.on('error', () => {});
      resolve(server);
    });
  });
}
