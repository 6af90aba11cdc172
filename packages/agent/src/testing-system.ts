// The built agent as a process, and a small relay made of nothing but the tunnel package. For tests.
import assert from 'node:assert/strict';
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import {
  createServer as createHttp2Server,
  createSecureServer,
  type ServerHttp2Stream,
} from 'node:http2';
import { createServer as createHttpServer } from 'node:http';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type {
  AcceptOptions,
  AcceptedLink,
  HelloInfo,
  Link,
  TunnelError,
  WelcomeInfo,
} from '@burrow/tunnel';
import { acceptGrpc, GRPC_SERVER_OPTIONS, refuseGrpc } from '@burrow/tunnel/grpc';
import { acceptWebSocket, MAX_MESSAGE_BYTES } from '@burrow/tunnel/websocket';
import { WebSocketServer } from 'ws';

export const TOKEN = `burrow_agt_${'x'.repeat(43)}`;
const root = fileURLToPath(new URL('../../..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'burrow-agent-'));
chmodSync(folder, 0o755); // for the test that runs it as somebody else
const bundle = join(folder, 'burrow-agent.mjs');
/** Node 20, the oldest that must run the agent. */
export const oldest = process.env.BURROW_TEST_NODE20 ?? '/usr/bin/node';

/** Builds the bundle before the tests of the calling file, and removes it after them. */
export function buildBundle(): void {
  before(() =>
    promisify(execFile)(process.execPath, [
      join(root, 'scripts/build-agent.mjs'),
      '--outfile',
      bundle,
    ]),
  );
  after(() => rmSync(folder, { recursive: true }));
}

type Welcome = Omit<WelcomeInfo, 'revision' | 'capabilities'>;

export interface Relay {
  readonly port: number;
  readonly links: Link[];
  readonly hellos: HelloInfo[];
  readonly sockets: Set<Socket>;
  readonly authorizations: string[];
  refusal: TunnelError | undefined;
  /** Resolves at the n-th link (from 1) that was ever accepted. */
  linked(count: number): Promise<void>;
}

export interface RelayKind {
  /** `http1`: as behind a proxy that knows no HTTP/2, so only WebSocket gets through. */
  readonly speaks?: 'http1';
  readonly tls?: { readonly key: string; readonly cert: string };
}

export async function startRelay(
  t: TestContext,
  welcome: Partial<Welcome> = {},
  kind: RelayKind = {},
): Promise<Relay> {
  const waiting: { count: number; resolve: () => void }[] = [];
  const relay: Relay = {
    port: 0,
    links: [],
    hellos: [],
    sockets: new Set(),
    authorizations: [],
    refusal: undefined,
    linked: (count) =>
      new Promise((resolve) => {
        if (relay.links.length >= count) resolve();
        else waiting.push({ count, resolve });
      }),
  };
  const options: AcceptOptions = {
    welcome: () => ({
      relayId: 'relay-1',
      relayIncarnation: 'run-1',
      software: 'test-relay/1',
      clusterSize: 1,
      pingAfterMs: 8_000,
      pongWithinMs: 5000,
      maxChannels: 1000,
      workload: 'demo',
      minLinks: 2,
      maxLinks: 4,
      ...welcome,
    }),
    handler: { onChannel: (channel) => channel.reset('unsupported', 'no'), onClose() {} },
  };
  const onAccepted = (accepted: AcceptedLink | undefined) => {
    if (!accepted) return;
    relay.links.push(accepted.link);
    relay.hellos.push(accepted.hello);
    for (const { count, resolve } of waiting) if (relay.links.length >= count) resolve();
  };
  const server =
    kind.speaks === 'http1'
      ? webSocketServer(relay, options, onAccepted)
      : grpcServer(relay, kind, options, onAccepted);
  server.on('connection', (socket: Socket) => {
    relay.sockets.add(socket);
    socket.on('close', () => relay.sockets.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of relay.sockets) socket.destroy();
    server.close();
  });
  return Object.assign(relay, { port: (server.address() as AddressInfo).port });
}

type OnAccepted = (accepted: AcceptedLink | undefined) => void;

function grpcServer(relay: Relay, kind: RelayKind, options: AcceptOptions, onAccepted: OnAccepted) {
  const server = kind.tls
    ? createSecureServer({ ...GRPC_SERVER_OPTIONS, ...kind.tls })
    : createHttp2Server(GRPC_SERVER_OPTIONS);
  server.on('sessionError', () => {});
  server.on('stream', (stream: ServerHttp2Stream, headers) => {
    stream.on('error', () => {});
    relay.authorizations.push(headers.authorization ?? '');
    if (relay.refusal) refuseGrpc(stream, relay.refusal);
    else void acceptGrpc(stream, headers, options).then(onAccepted);
  });
  return server;
}

function webSocketServer(relay: Relay, options: AcceptOptions, onAccepted: OnAccepted) {
  const server = createHttpServer();
  const webSockets = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: MAX_MESSAGE_BYTES,
  });
  server.on('upgrade', (request, socket, head) => {
    relay.authorizations.push(request.headers.authorization ?? '');
    webSockets.handleUpgrade(request, socket, head, (webSocket) => {
      void acceptWebSocket(webSocket, options).then(onAccepted);
    });
  });
  return server;
}

export interface Running {
  readonly child: ChildProcess;
  readonly events: { event: string; [key: string]: unknown }[];
  readonly exited: Promise<number | null>;
  /** Resolves with the first event of that name after `from` events. */
  event(name: string, from?: number): Promise<{ event: string; [key: string]: unknown }>;
  output(): string;
}

export function startAgent(
  t: TestContext,
  port: number,
  options: {
    node?: string;
    nodeArgs?: string[];
    env?: NodeJS.ProcessEnv;
    args?: string[];
    uid?: number;
  } = {},
): Running {
  const args = [...(options.nodeArgs ?? []), bundle, ...(options.args ?? [])];
  const child = spawn(options.node ?? process.execPath, args, {
    env: {
      PATH: process.env.PATH,
      BURROW_RELAY_URL: `http://127.0.0.1:${port}`,
      BURROW_AGENT_TOKEN: TOKEN,
      ...options.env,
    },
    cwd: '/',
    ...(options.uid === undefined ? {} : { uid: options.uid, gid: options.uid }),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  let watchers: (() => void)[] = [];
  const running: Running = {
    child,
    events: [],
    exited: once(child, 'exit').then(([code]) => code as number | null),
    output: () => text,
    async event(name, from = 0) {
      for (;;) {
        const found = running.events.slice(from).find((candidate) => candidate.event === name);
        if (found) return found;
        await new Promise<void>((resolve) => watchers.push(resolve));
      }
    },
  };
  let rest = '';
  child.stdout?.on('data', (chunk) => (text += String(chunk)));
  child.stderr?.on('data', (chunk) => {
    text += String(chunk);
    const lines = (rest + String(chunk)).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) running.events.push(JSON.parse(line) as { event: string });
    const woken = watchers;
    watchers = [];
    for (const wake of woken) wake();
  });
  t.after(() => child.kill('SIGKILL'));
  return running;
}

export async function startApp(
  t: TestContext,
  onSocket: (socket: Socket) => void,
): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket.on('error', () => {}));
    onSocket(socket);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/** Sends the bytes, half-closes, and answers with everything that comes back. */
export function exchange(link: Link, port: number, bytes: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const channel = link.open(
      { target: { kind: 'tcp', port }, principal: { userId: 'u1', username: 'alice' } },
      {
        onData(chunk) {
          chunks.push(chunk);
          channel.consumed(chunk.length);
        },
        onEnd: () => resolve(Buffer.concat(chunks)),
        onClose: (error) => {
          if (error) reject(error);
        },
      },
    );
    channel.write(bytes);
    channel.end();
  });
}

/** Answers with what it was sent. */
export const echo = (socket: Socket): void => void socket.pipe(socket);

export const first = (relay: Relay): Link => relay.links[0] ?? assert.fail('no link');
