// The built agent as a process, against a small relay made of nothing but the tunnel package.
import assert from 'node:assert/strict';
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer as createHttp2Server, type ServerHttp2Stream } from 'node:http2';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { TunnelError, type HelloInfo, type Link, type WelcomeInfo } from '@burrow/tunnel';
import { acceptGrpc, GRPC_SERVER_OPTIONS, refuseGrpc } from '@burrow/tunnel/grpc';

const TOKEN = `burrow_agt_${'x'.repeat(43)}`;
const root = fileURLToPath(new URL('../../..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'burrow-agent-'));
const bundle = join(folder, 'burrow-agent.mjs');
const oldest = process.env.BURROW_TEST_NODE20 ?? '/usr/bin/node';

before(() =>
  promisify(execFile)(process.execPath, [
    join(root, 'scripts/build-agent.mjs'),
    '--outfile',
    bundle,
  ]),
);
after(() => rmSync(folder, { recursive: true }));

type Welcome = Omit<WelcomeInfo, 'revision' | 'capabilities'>;

interface Relay {
  readonly port: number;
  readonly links: Link[];
  readonly hellos: HelloInfo[];
  readonly sockets: Set<Socket>;
  readonly authorizations: string[];
  refusal: TunnelError | undefined;
  /** Resolves at the n-th link (from 1) that was ever accepted. */
  linked(count: number): Promise<void>;
}

async function startRelay(t: TestContext, welcome: Partial<Welcome> = {}): Promise<Relay> {
  const waiting: { count: number; resolve: () => void }[] = [];
  const server = createHttp2Server(GRPC_SERVER_OPTIONS);
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
  server.on('connection', (socket: Socket) => {
    relay.sockets.add(socket);
    socket.on('close', () => relay.sockets.delete(socket));
  });
  server.on('sessionError', () => {});
  server.on('stream', async (stream: ServerHttp2Stream, headers) => {
    stream.on('error', () => {});
    relay.authorizations.push(headers.authorization ?? '');
    if (relay.refusal) return refuseGrpc(stream, relay.refusal);
    const accepted = await acceptGrpc(stream, headers, {
      welcome: () => ({
        relayId: 'relay-1',
        relayIncarnation: 'run-1',
        software: 'test-relay/1',
        clusterSize: 1,
        pingAfterMs: 10_000,
        pongWithinMs: 5000,
        maxChannels: 1000,
        workload: 'demo',
        minLinks: 2,
        maxLinks: 4,
        ...welcome,
      }),
      handler: { onChannel: (channel) => channel.reset('unsupported', 'no'), onClose() {} },
    });
    if (!accepted) return;
    relay.links.push(accepted.link);
    relay.hellos.push(accepted.hello);
    for (const { count, resolve } of waiting) if (relay.links.length >= count) resolve();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of relay.sockets) socket.destroy();
    server.close();
  });
  return Object.assign(relay, { port: (server.address() as AddressInfo).port });
}

interface Running {
  readonly child: ChildProcess;
  readonly events: { event: string; [key: string]: unknown }[];
  readonly exited: Promise<number | null>;
  /** Resolves with the first event of that name after `from` events. */
  event(name: string, from?: number): Promise<{ event: string; [key: string]: unknown }>;
  output(): string;
}

function startAgent(
  t: TestContext,
  port: number,
  options: { node?: string; env?: NodeJS.ProcessEnv; args?: string[] } = {},
): Running {
  const child = spawn(options.node ?? process.execPath, [bundle, ...(options.args ?? [])], {
    env: {
      PATH: process.env.PATH,
      BURROW_RELAY_URL: `http://127.0.0.1:${port}`,
      BURROW_AGENT_TOKEN: TOKEN,
      ...options.env,
    },
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

async function startApp(t: TestContext, onSocket: (socket: Socket) => void): Promise<number> {
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
function exchange(link: Link, port: number, bytes: Buffer): Promise<Buffer> {
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

const echo = (socket: Socket) => void socket.pipe(socket);
const first = (relay: Relay): Link => relay.links[0] ?? assert.fail('no link');

for (const [name, node] of [
  ['this Node', process.execPath],
  ['the oldest Node', oldest],
] as const) {
  test(
    `two links, bytes through a channel, clean stop: ${name}`,
    { timeout: 20_000 },
    async (t) => {
      assert.ok(existsSync(node), `${node} is needed (or name another with BURROW_TEST_NODE20)`);
      const relay = await startRelay(t);
      const app = await startApp(t, echo);
      const agent = startAgent(t, relay.port, { node });
      await relay.linked(2);
      const body = Buffer.alloc(1_000_000, 'burrow');
      const answer = await exchange(first(relay), app, body);
      assert.ok(answer.equals(body));
      assert.equal(relay.authorizations[0], `Bearer ${TOKEN}`);
      assert.match(relay.hellos[0]?.software ?? '', /^burrow-agent\/\d/);
      assert.equal(relay.hellos[0]?.instanceId, relay.hellos[1]?.instanceId);
      if (process.platform === 'linux') assert.ok(relay.hellos[0]?.listeningPorts.includes(app));
      agent.child.kill('SIGTERM');
      assert.equal(await agent.exited, 0);
      assert.ok(!agent.output().includes(TOKEN), 'the token is in no log');
      assert.deepEqual(
        agent.events.map(({ event }) => event).filter((event) => event !== 'pool'),
        ['start', 'linked', 'linked', 'drain', 'stop'],
      );
    },
  );
}

test('errors reach the opener with code and sentence', { timeout: 20_000 }, async (t) => {
  const relay = await startRelay(t);
  const closed = await startApp(t, echo);
  const agent = startAgent(t, relay.port, { args: ['--allow', `${closed}`] });
  await relay.linked(1);
  await assert.rejects(exchange(first(relay), 80, Buffer.from('x')), {
    code: 'not-allowed',
    message: /BURROW_AGENT_ALLOW/,
  });
  const refused = await agent.event('channel-refused');
  assert.equal(refused.user, 'alice');
});

test('a killed link is dialled again, and serves', { timeout: 20_000 }, async (t) => {
  const relay = await startRelay(t, { minLinks: 1 });
  const app = await startApp(t, echo);
  const agent = startAgent(t, relay.port);
  await agent.event('linked');
  for (const socket of relay.sockets) socket.destroy();
  await relay.linked(2);
  assert.equal((await agent.event('link-lost')).links, 0);
  const again = relay.links[1] ?? assert.fail();
  assert.equal(String(await exchange(again, app, Buffer.from('back'))), 'back');
});

test('a relay that stops answering is noticed and dialled anew', { timeout: 30_000 }, async (t) => {
  const relay = await startRelay(t, { minLinks: 1, pingAfterMs: 1000, pongWithinMs: 500 });
  // Between the two: swallows everything once told to, with both connections left open.
  const pairs: { swallow: boolean }[] = [];
  const between = await startApp(t, (socket) => {
    const pair = { swallow: false };
    pairs.push(pair);
    const upstream = connect(relay.port, '127.0.0.1').on('error', () => socket.destroy());
    socket.on('data', (chunk) => pair.swallow || upstream.write(chunk));
    upstream.on('data', (chunk) => pair.swallow || socket.write(chunk));
    socket.on('close', () => upstream.destroy());
  });
  const agent = startAgent(t, between);
  await agent.event('linked');
  const silent = pairs[0] ?? assert.fail();
  silent.swallow = true;
  await relay.linked(2);
  assert.equal((await agent.event('link-lost')).code, 'link-silent');
});

test('SIGTERM lets a running channel finish, opens nothing new', { timeout: 20_000 }, async (t) => {
  const relay = await startRelay(t, { minLinks: 1 });
  let appSocket: Socket | undefined;
  const app = await startApp(t, (socket) => (appSocket = socket.resume()));
  const agent = startAgent(t, relay.port);
  await relay.linked(1);
  const link = first(relay);
  const answer = exchange(link, app, Buffer.from('slow request'));
  while (!appSocket) await new Promise((resolve) => setImmediate(resolve));
  agent.child.kill('SIGTERM');
  assert.equal((await agent.event('drain')).channels, 1);
  while (!link.draining) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.throws(() => exchangeNow(link, app), { code: 'draining' });
  assert.equal(agent.child.exitCode, null);
  appSocket.end('slow answer');
  assert.equal(String(await answer), 'slow answer');
  assert.equal(await agent.exited, 0);
});

function exchangeNow(link: Link, port: number): void {
  const principal = { userId: 'u1', username: 'alice' };
  link.open(
    { target: { kind: 'tcp', port }, principal },
    { onData() {}, onEnd() {}, onClose() {} },
  );
}

test('the drain is bounded; a second signal ends at once', { timeout: 20_000 }, async (t) => {
  const relay = await startRelay(t, { minLinks: 1 });
  let connections = 0;
  const app = await startApp(t, (socket) => {
    socket.resume();
    connections += 1;
  });
  for (const second of [false, true]) {
    const agent = startAgent(t, relay.port, { args: ['--drain-timeout', second ? '600' : '1'] });
    await relay.linked(relay.links.length + 1);
    const before = connections;
    const answer = exchange(relay.links.at(-1) ?? assert.fail(), app, Buffer.from('x'));
    const cut = assert.rejects(answer);
    while (connections === before) await new Promise((resolve) => setTimeout(resolve, 5));
    agent.child.kill('SIGTERM');
    await agent.event('drain');
    if (second) agent.child.kill('SIGTERM');
    assert.equal(await agent.exited, 0);
    await cut;
  }
});

for (const [code, exit] of [
  ['token-unknown', 3],
  ['token-revoked', 4],
] as const) {
  test(`${code} ends the agent with exit code ${exit}`, { timeout: 20_000 }, async (t) => {
    const relay = await startRelay(t);
    relay.refusal = new TunnelError(code, 'The token is not good any more.');
    const agent = startAgent(t, relay.port);
    assert.equal(await agent.exited, exit);
    const refused = await agent.event('refused');
    assert.equal(refused.message, 'The token is not good any more.');
  });
}

test('a token revoked while linked ends the agent', { timeout: 20_000 }, async (t) => {
  const relay = await startRelay(t);
  const agent = startAgent(t, relay.port);
  await relay.linked(2);
  const error = new TunnelError('token-revoked', 'The workspace was deleted.');
  relay.refusal = error;
  for (const link of relay.links) link.close(error);
  assert.equal(await agent.exited, 4);
});

test('an expired token is tried again', { timeout: 20_000 }, async (t) => {
  const relay = await startRelay(t);
  relay.refusal = new TunnelError('token-expired', 'The lease ran out.');
  const agent = startAgent(t, relay.port);
  await agent.event('dial-failed');
  relay.refusal = undefined;
  await relay.linked(1);
});

test('the first byte comes within 500 ms of the start', { timeout: 20_000 }, async (t) => {
  const relay = await startRelay(t);
  const app = await startApp(t, echo);
  const times: number[] = [];
  for (let i = 0; i < 3; i++) {
    const begin = performance.now();
    const agent = startAgent(t, relay.port);
    await relay.linked(relay.links.length + 1);
    await exchange(relay.links.at(-1) ?? assert.fail(), app, Buffer.from('x'));
    times.push(performance.now() - begin);
    agent.child.kill('SIGKILL');
    await agent.exited;
  }
  t.diagnostic(`first byte after ${times.map((ms) => ms.toFixed(0)).join(', ')} ms`);
});
