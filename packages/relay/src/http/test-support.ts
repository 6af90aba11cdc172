/**
 * For tests of the engine: a router whose "channels" are TCP connections to
 * upstreams on this machine, a policy that sends everything to one port, raw
 * client sockets.
 */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { TunnelError, type Channel, type ChannelHandler, type OpenOptions } from '@burrow/tunnel';
import { DEFAULT_PORT_POLICY, type PortPolicy, type WorkspaceRoute } from '../control/directory.ts';
import type { Router } from '../routing/router.ts';
import { createGateway, type Gateway } from './gateway.ts';
import type { Decision, GatePolicy, RequestHead } from './gate-policy.ts';
import type { HttpOutcome } from './gateway-deps.ts';
import type { HttpLimits } from './limits.ts';

/** A channel over a TCP connection of its own. */
export class SocketChannel {
  readonly uid = '0'.repeat(32);
  readonly metadata = {};
  closed = false;
  opened = false;
  queuedBytes = 0;
  /** Bytes given to the handler and not consumed. */
  owed = 0;
  maxOwed = 0;
  readonly target: OpenOptions['target'];
  readonly principal: OpenOptions['principal'];
  readonly traffic: OpenOptions['traffic'];
  readonly socket: Socket;
  readonly link: { draining: boolean };
  #handler: ChannelHandler;
  #error: TunnelError | undefined;

  constructor(
    options: OpenOptions,
    handler: ChannelHandler,
    link: { draining: boolean },
    onGone: () => void,
  ) {
    this.link = link;
    this.target = options.target;
    this.principal = options.principal;
    this.traffic = options.traffic;
    this.#handler = handler;
    const port = options.target.kind === 'tcp' ? options.target.port : 0;
    this.socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    this.socket.on('connect', () => {
      this.opened = true;
      this.#handler.onOpened?.();
    });
    this.socket.on('data', (chunk) => {
      if (this.closed) return;
      this.owed += chunk.length;
      this.maxOwed = Math.max(this.maxOwed, this.owed);
      if (this.owed > 256 * 1024) this.socket.pause();
      this.#handler.onData(chunk);
    });
    this.socket.on('end', () => {
      if (!this.closed) this.#handler.onEnd();
    });
    this.socket.on('drain', () => {
      if (!this.closed) this.#handler.onWritable?.();
    });
    this.socket.on('error', (error: NodeJS.ErrnoException) => {
      this.#error = new TunnelError(
        error.code === 'ECONNREFUSED' ? 'nothing-listens' : 'target-closed',
        error.code === 'ECONNREFUSED' ? `Nothing listens on port ${port}.` : 'The app closed.',
        { remote: true },
      );
    });
    this.socket.on('close', () => {
      onGone();
      if (this.closed) return;
      this.closed = true;
      this.#handler.onClose(this.#error);
    });
  }

  setHandler(handler: ChannelHandler): void {
    this.#handler = handler;
  }

  /** As an agent that drains resets a channel it has not connected. */
  refuse(): void {
    this.#error = new TunnelError(
      'draining',
      'The link is draining; open the channel on another.',
      { remote: true },
    );
    this.socket.destroy();
  }

  setTraffic(): void {}

  accept(): void {}

  write(chunk: Uint8Array): boolean {
    if (this.closed || this.socket.writableEnded) return false;
    return this.socket.write(chunk);
  }

  end(): void {
    if (!this.socket.writableEnded) this.socket.end();
  }

  reset(): void {
    if (this.closed) return;
    this.closed = true;
    this.socket.destroy();
  }

  consumed(bytes: number): void {
    this.owed -= bytes;
    if (this.owed <= 256 * 1024 && this.socket.isPaused()) this.socket.resume();
  }
}

export class TestRouter implements Router {
  readonly channels = new Set<SocketChannel>();
  opened: SocketChannel[] = [];
  linked = true;
  /** The link of channels that are opened from now on. */
  current = { draining: false };
  /** So many of the next channels are refused by a draining agent. */
  refusals = 0;
  readonly #waiting = new Set<() => void>();

  open(_agentId: string, options: OpenOptions, handler: ChannelHandler): Channel | undefined {
    if (!this.linked) return undefined;
    const channel = new SocketChannel(options, handler, this.current, () =>
      this.channels.delete(channel),
    );
    this.channels.add(channel);
    this.opened.push(channel);
    if (this.refusals > 0) {
      this.refusals -= 1;
      channel.refuse();
    }
    return channel as unknown as Channel;
  }

  link(): void {
    this.linked = true;
    for (const wake of this.#waiting) wake();
  }

  waitFor(_agentId: string, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.add(resolve);
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    });
  }

  presence(): undefined {
    return undefined;
  }
}

export function testRoute(overrides: Partial<WorkspaceRoute> = {}): WorkspaceRoute {
  return {
    id: 'w1',
    name: 'demo',
    ownerId: 'u1',
    agentId: 'a1',
    state: 'running',
    editorPort: 1,
    ports: new Map(),
    agentLastSeen: 1,
    ...overrides,
  };
}

export interface Harness extends AsyncDisposable {
  readonly gateway: Gateway;
  readonly router: TestRouter;
  readonly port: number;
  readonly server: Server;
  readonly heads: RequestHead[];
  readonly outcomes: [HttpOutcome, number][];
  /** Lines of level info and above. */
  readonly logged: { readonly fields: object; readonly message: string }[];
  decide: (head: RequestHead) => Decision | Promise<Decision>;
  version: number;
}

export interface HarnessOptions {
  /** The upstream. */
  readonly port: number;
  /** Instead of one that sends everything to `port`. */
  readonly gatePolicy?: GatePolicy;
  /** The test expects errors in the log. */
  readonly quiet?: boolean;
  readonly policy?: Partial<PortPolicy>;
  readonly limits?: Partial<HttpLimits>;
  readonly reusable?: boolean;
  readonly trusted?: boolean;
  readonly responseHeaders?: readonly string[];
  readonly control?: () => Duplex;
  /** Milliseconds, for a clock of the test's own. */
  readonly now?: () => number;
}

/** A gateway behind a TCP server, in front of one upstream port. */
export async function harness(options: HarnessOptions): Promise<Harness> {
  const router = new TestRouter();
  const heads: RequestHead[] = [];
  const outcomes: [HttpOutcome, number][] = [];
  const decision: Decision = {
    kind: 'app',
    route: testRoute(),
    port: options.port,
    policy: { ...DEFAULT_PORT_POLICY, ...options.policy },
    principal: { userId: 'u1', username: 'ada', admin: false },
    reusable: options.reusable ?? false,
    ...(options.responseHeaders === undefined ? {} : { responseHeaders: options.responseHeaders }),
  };
  const self = {
    version: 1,
    decide: (_head: RequestHead): Decision | Promise<Decision> => decision,
  };
  const policy: GatePolicy = {
    get version() {
      return self.version;
    },
    decide(head) {
      heads.push(head);
      return self.decide(head);
    },
    failure: (_head, error) => ({
      status: error.code === 'upstream-failed' ? 502 : 503,
      headers: ['X-Error', error.code],
      body: error.message,
    }),
    badRequest: (status, reason) => ({ status, headers: [], body: reason }),
  };
  const logged: Harness['logged'] = [];
  const note = (fields: object, message: string): void => {
    logged.push({ fields, message });
  };
  const gateway = createGateway({
    policy: options.gatePolicy ?? policy,
    router,
    control: { connect: options.control ?? (() => new Duplex()) },
    trusted: { has: () => options.trusted ?? false },
    log: {
      debug() {},
      info: note,
      warn: note,
      error(fields, message) {
        note(fields, message);
        if (options.quiet !== true) console.error(message, fields);
      },
    },
    metrics: {
      onRequest() {},
      onResponse: (outcome, status) => outcomes.push([outcome, status]),
    },
    ...(options.limits === undefined ? {} : { limits: options.limits }),
    ...(options.now === undefined ? {} : { now: options.now }),
  });
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) =>
    gateway.handleSocket(socket, {
      remoteAddress: '192.0.2.7',
      secure: false,
      trustedProxy: options.trusted ?? false,
    }),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const port = (server.address() as { port: number }).port;
  return Object.assign(self, {
    gateway,
    router,
    port,
    server,
    heads,
    outcomes,
    logged,
    async [Symbol.asyncDispose]() {
      gateway.close();
      server.close();
      for (const channel of router.channels) channel.socket.destroy();
      await once(server, 'close');
    },
  });
}

export interface Upstream extends AsyncDisposable {
  readonly port: number;
  readonly sockets: Set<Socket>;
}

/** A TCP server that does as the test says. */
export async function upstream(onSocket: (socket: Socket) => void): Promise<Upstream> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket)).on('error', () => {});
    onSocket(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as { port: number }).port,
    sockets,
    async [Symbol.asyncDispose]() {
      server.close();
      for (const socket of sockets) socket.destroy();
      await once(server, 'close');
    },
  };
}

/** A client socket that remembers all it got, as latin1. */
export class RawClient {
  readonly socket: Socket;
  text = '';
  ended = false;
  closed = false;
  readonly #waiting = new Set<() => void>();

  constructor(port: number) {
    this.socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    const wake = (): void => {
      for (const check of this.#waiting) check();
    };
    this.socket.on('data', (chunk) => {
      this.text += chunk.toString('latin1');
      wake();
    });
    this.socket.on('end', () => {
      this.ended = true;
      wake();
    });
    this.socket.on('error', () => {});
    this.socket.on('close', () => {
      this.ended = this.closed = true;
      wake();
    });
  }

  send(text: string): this {
    this.socket.write(text, 'latin1');
    return this;
  }

  /** Resolves once `check` holds; rejects with what was received after 5 s. */
  async until(check: (client: RawClient) => boolean): Promise<string> {
    await waitUntil(
      () => check(this),
      () => `received ${JSON.stringify(this.text.slice(0, 2000))}`,
      this.#waiting,
    );
    return this.text;
  }

  async untilText(part: string): Promise<string> {
    return await this.until((client) => client.text.includes(part));
  }

  async untilEnd(): Promise<string> {
    return await this.until((client) => client.ended);
  }
}

/** Checks at once, at every call of those in `wakes`, and every 5 ms, for 5 s. */
export async function waitUntil(
  check: () => boolean,
  describe: () => string = () => 'nothing more is known',
  wakes: Set<() => void> = new Set(),
): Promise<void> {
  if (check()) return;
  await new Promise<void>((resolve, reject) => {
    const done = (error?: Error): void => {
      clearInterval(poll);
      clearTimeout(bound);
      wakes.delete(look);
      if (error === undefined) resolve();
      else reject(error);
    };
    const look = (): void => {
      if (check()) done();
    };
    const poll = setInterval(look, 5);
    const bound = setTimeout(() => done(new Error(`waited 5 s in vain: ${describe()}`)), 5_000);
    wakes.add(look);
  });
}
