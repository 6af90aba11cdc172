import { once } from 'node:events';
import { get } from 'node:http';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { proxyHeader } from './proxy-header.ts';

/** Where a relay takes connections, on loopback. */
export interface Backend {
  readonly id: string;
  readonly port: number;
  readonly sshPort: number;
}

export interface FrontOptions {
  readonly port: number;
  readonly sshPort: number;
  /** The address that connections to relays come from: they believe its PROXY headers. Undefined: none are sent. */
  readonly sourceAddress: string | undefined;
}

/** How often each relay is asked whether it is ready, and how long it may take, ms. */
const CHECK_EVERY_MS = 250;
const CHECK_WITHIN_MS = 1_000;
const CONNECT_WITHIN_MS = 1_000;
/** Connections at once; a balancer for people and tests, on one machine. */
const MAX_CONNECTIONS = 20_000;

/**
 * One address for several relays: each connection goes to the next relay that
 * is ready, and stays with it. Bytes only; TLS, HTTP and SSH are the relays' affair.
 */
export class Front {
  readonly #options: FrontOptions;
  readonly #backends = new Map<string, Backend>();
  readonly #ready = new Set<string>();
  readonly #sockets = new Set<Socket>();
  readonly #web: Server;
  readonly #ssh: Server;
  #turn = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: FrontOptions) {
    this.#options = options;
    this.#web = this.#server((backend) => backend.port);
    this.#ssh = this.#server((backend) => backend.sshPort);
  }

  get port(): number {
    return (this.#web.address() as AddressInfo).port;
  }

  get sshPort(): number {
    return (this.#ssh.address() as AddressInfo).port;
  }

  /** Ids of the relays that get connections. */
  get ready(): readonly string[] {
    return [...this.#ready];
  }

  /** Rejects with node:net's error, say EADDRINUSE. */
  async start(): Promise<void> {
    for (const [server, port] of [
      [this.#web, this.#options.port],
      [this.#ssh, this.#options.sshPort],
    ] as const) {
      server.listen(port, '127.0.0.1');
      await once(server, 'listening');
    }
    this.#timer = setInterval(() => void this.check(), CHECK_EVERY_MS);
  }

  add(backend: Backend): void {
    this.#backends.set(backend.id, backend);
  }

  remove(id: string): void {
    this.#backends.delete(id);
    this.#ready.delete(id);
  }

  async check(): Promise<void> {
    await Promise.all(
      [...this.#backends.values()].map(async (backend) => {
        const ready = await answersReady(backend.port);
        if (ready && this.#backends.has(backend.id)) this.#ready.add(backend.id);
        else this.#ready.delete(backend.id);
      }),
    );
  }

  /** Ends every connection. Idempotent. */
  stop(): void {
    clearInterval(this.#timer);
    for (const server of [this.#web, this.#ssh]) server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #server(portOf: (backend: Backend) => number): Server {
    const server = createServer(
      { allowHalfOpen: true, noDelay: true, pauseOnConnect: true },
      (client) => void this.#serve(client, portOf),
    );
    server.maxConnections = MAX_CONNECTIONS;
    return server;
  }

  async #serve(client: Socket, portOf: (backend: Backend) => number): Promise<void> {
    this.#keep(client);
    const upstream = await this.#dial(portOf);
    if (upstream === undefined || client.destroyed) {
      upstream?.destroy();
      client.resetAndDestroy();
      return;
    }
    this.#keep(upstream);
    if (this.#options.sourceAddress !== undefined) {
      upstream.write(
        proxyHeader({
          sourceAddress: client.remoteAddress,
          sourcePort: client.remotePort,
          targetAddress: client.localAddress,
          targetPort: client.localPort,
        }),
      );
    }
    join(client, upstream);
  }

  /**
   * Relays in turn; one that does not answer is passed over until it is ready again. When none is
   * ready, say because their database restarts, any of them: it can say what is wrong.
   */
  async #dial(portOf: (backend: Backend) => number): Promise<Socket | undefined> {
    const all = [...this.#backends.values()];
    const deaf = new Set<Backend>();
    while (deaf.size < all.length) {
      const ready = all.filter((each) => this.#ready.has(each.id) && !deaf.has(each));
      const some = ready.length > 0 ? ready : all.filter((each) => !deaf.has(each));
      const backend = some[this.#turn++ % some.length];
      if (backend === undefined) return undefined;
      const socket = await dial(portOf(backend), this.#options.sourceAddress);
      if (socket !== undefined) return socket;
      this.#ready.delete(backend.id);
      deaf.add(backend);
    }
    return undefined;
  }

  #keep(socket: Socket): void {
    socket.on('error', () => {});
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
  }
}

/** Each way by itself: one may end while the other goes on. What breaks on one side breaks on the other. */
function join(a: Socket, b: Socket): void {
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    from.pipe(to);
    from.on('error', () => to.resetAndDestroy());
    from.once('close', () => {
      if (!from.readableEnded) to.destroy();
    });
  }
}

function dial(port: number, localAddress: string | undefined): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect({
      host: '127.0.0.1',
      port,
      allowHalfOpen: true,
      noDelay: true,
      ...(localAddress === undefined ? {} : { localAddress }),
    });
    const late = setTimeout(() => failed(), CONNECT_WITHIN_MS);
    const failed = (): void => {
      clearTimeout(late);
      socket.destroy();
      resolve(undefined);
    };
    socket.once('error', failed);
    socket.once('connect', () => {
      clearTimeout(late);
      socket.off('error', failed);
      resolve(socket);
    });
  });
}

function answersReady(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const request = get(
      {
        host: '127.0.0.1',
        port,
        path: '/readyz',
        agent: false,
        signal: AbortSignal.timeout(CHECK_WITHIN_MS),
      },
      (response) => {
        response.resume();
        response.once('close', () => resolve(response.statusCode === 200));
      },
    );
    request.once('error', () => resolve(false));
  });
}
