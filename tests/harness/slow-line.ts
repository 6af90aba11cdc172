import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** A TCP line on loopback over which every byte takes its time. */
export interface SlowLine extends AsyncDisposable {
  readonly port: number;
  /** Of bytes to come, one way (from the server), ms. */
  delayMs: number;
}

export async function startSlowLine(target: number, delayMs: number): Promise<SlowLine> {
  const open = new Set<Socket>();
  const timers = new Set<NodeJS.Timeout>();
  const later = (ms: number, run: () => void): void => {
    const timer = setTimeout(() => {
      timers.delete(timer);
      run();
    }, ms);
    timers.add(timer);
  };
  const server = createServer((near) => {
    const far = connect({ host: '127.0.0.1', port: target, noDelay: true });
    near.on('data', (chunk) => far.write(chunk));
    // In order, also where the delay has just become shorter.
    const onTheWay: Buffer[] = [];
    let dueAt = 0;
    far.on('data', (chunk: Buffer) => {
      onTheWay.push(chunk);
      dueAt = Math.max(dueAt, performance.now() + line.delayMs);
      later(dueAt - performance.now(), () => near.write(onTheWay.shift()!));
    });
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      open.add(socket);
      socket.on('error', () => undefined);
      socket.once('close', () => {
        open.delete(socket);
        other.destroy();
      });
    }
  });
  const line: SlowLine = {
    port: 0,
    delayMs,
    async [Symbol.asyncDispose]() {
      for (const timer of timers) clearTimeout(timer);
      for (const socket of open) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return Object.assign(line, { port: (server.address() as AddressInfo).port });
}
