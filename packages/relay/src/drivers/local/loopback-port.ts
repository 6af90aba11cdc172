import { createServer } from 'node:net';

/** Binds 127.0.0.1:`port` (0: any) for a moment; undefined when it is taken. */
function probe(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(undefined));
    server.listen({ host: '127.0.0.1', port, exclusive: true }, () => {
      const address = server.address();
      server.close(() =>
        resolve(typeof address === 'object' && address !== null ? address.port : undefined),
      );
    });
  });
}

/** The first of `wanted` that is free on loopback, else any free port. */
export async function loopbackPort(wanted: readonly number[]): Promise<number> {
  for (const port of [...wanted.filter((candidate) => candidate > 0), 0]) {
    const free = await probe(port);
    if (free !== undefined) return free;
  }
  throw new Error('This machine has no free TCP port on 127.0.0.1.');
}
