import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** A TCP line on loopback that can be cut and mended. */
export interface CuttableLine extends AsyncDisposable {
  readonly port: number;
  /** Connections made so far. */
  readonly accepted: number;
  /** Resets what flows, and refuses what comes, until `mend`. */
  cut(): void;
  mend(): void;
  /** Holds everything back, as a network does that loses all packets, until `flow`. What comes meanwhile waits. */
  stall(): void;
  flow(): void;
}

/** `target` is asked at each connection: the port behind it may be known later. */
export async function startCuttableLine(target: () => number): Promise<CuttableLine> {
  const open = new Set<Socket>();
  const pairs = new Set<readonly [Socket, Socket]>();
  let flows = true;
  let whole = true;
  let accepted = 0;
  const server = createServer((near) => {
    if (!whole) {
      near.resetAndDestroy();
      return;
    }
    accepted += 1;
    const far = connect({ host: '127.0.0.1', port: target(), noDelay: true });
    near.setNoDelay(true);
    const pair = [near, far] as const;
    pairs.add(pair);
    near.once('close', () => pairs.delete(pair));
    if (flows) near.pipe(far).pipe(near);
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
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const cut = (): void => {
    whole = false;
    for (const socket of open) socket.resetAndDestroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    get accepted() {
      return accepted;
    },
    cut,
    mend() {
      whole = true;
    },
    stall() {
      flows = false;
      for (const [near, far] of pairs) {
        near.unpipe(far).pause();
        far.unpipe(near).pause();
      }
    },
    flow() {
      flows = true;
      for (const [near, far] of pairs) near.pipe(far).pipe(near);
    },
    async [Symbol.asyncDispose]() {
      cut();
      server.close();
      await once(server, 'close');
    },
  };
}
