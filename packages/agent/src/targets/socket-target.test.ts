import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { TunnelError } from '@burrow/tunnel';
import { PortRanges } from '../config/port-ranges.ts';
import { FakeChannel, memoryLog } from '../testing-fakes.ts';
import type { SshService } from '../ssh/service.ts';
import { Targets } from './targets.ts';

async function app(t: TestContext, onSocket: (socket: Socket) => void, host = '127.0.0.1') {
  const sockets = new Set<Socket>();
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    onSocket(socket);
  });
  server.listen(0, host);
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

const NO_SSH: SshService = {
  kind: 'none',
  hello: async () => ({ sshHostKey: '', sshServer: 'none', sshUser: '' }),
  stop() {},
};

function open(port: number, allow = '1024-65535') {
  const log = memoryLog();
  const targets = new Targets({ allow: PortRanges.parse(allow), allowUnix: [] }, log, NO_SSH);
  const channel = new FakeChannel({ kind: 'tcp', port });
  targets.connect(channel);
  return { channel, targets, log };
}

const bound = () => AbortSignal.timeout(5000);

test('at level debug the log names each channel by the id that the relay knows', async (t) => {
  const port = await app(t, (socket) => socket.end());
  const { channel, targets, log } = open(port);
  channel.handler.onEnd();
  await channel.until((c) => c.ended);
  channel.close();
  await targets.idle(bound());
  const { uid } = channel;
  assert.deepEqual(log.lines, [
    {
      level: 'debug',
      event: 'channel',
      fields: { channel: uid, user: 'alice', to: `port ${port}` },
    },
    { level: 'debug', event: 'channel-done', fields: { channel: uid } },
  ]);
});

test('bytes go both ways, and each side may end before the other', async (t) => {
  const port = await app(t, (socket) => {
    socket.on('data', (chunk) => socket.write(`<${chunk.toString()}>`));
    socket.on('end', () => socket.end('bye'));
  });
  const { channel, targets } = open(port);
  channel.handler.onData(Buffer.from('early'));
  await channel.until((c) => c.opened && c.text === '<early>');
  channel.handler.onData(Buffer.from('late'));
  channel.handler.onEnd();
  await channel.until((c) => c.ended);
  assert.equal(channel.text, '<early><late>bye');
  assert.equal(channel.consumedBytes, 9);
  assert.equal(channel.resetWith, undefined);
  channel.close();
  await targets.idle(bound());
});

test('an end that comes before the target is connected is passed on', async (t) => {
  const port = await app(t, (socket) => socket.resume().on('end', () => socket.end('done')));
  const { channel, targets } = open(port);
  channel.handler.onData(Buffer.from('x'));
  channel.handler.onEnd();
  await channel.until((c) => c.ended);
  assert.equal(channel.text, 'done');
  channel.close();
  await targets.idle(bound());
});

test('an app that listens on ::1 only is found', async (t) => {
  const port = await app(t, (socket) => socket.end('six'), '::1');
  const { channel, targets } = open(port);
  await channel.until((c) => c.ended);
  assert.equal(channel.text, 'six');
  channel.handler.onEnd();
  channel.close();
  await targets.idle(bound());
});

test('a port on which nothing listens is named', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  const { channel, targets } = open(port);
  await channel.until((c) => c.closed);
  assert.deepEqual(channel.resetWith, {
    code: 'nothing-listens',
    reason: `Nothing listens on port ${port} in the workload`,
  });
  await targets.idle(bound());
});

test('a port outside BURROW_AGENT_ALLOW is refused before any connection', async (t) => {
  let connections = 0;
  const port = await app(t, () => (connections += 1));
  const { channel, targets, log } = open(port, '1-1023');
  assert.equal(channel.resetWith?.code, 'not-allowed');
  assert.match(channel.resetWith?.reason ?? '', /BURROW_AGENT_ALLOW is 1-1023/);
  assert.equal(targets.active, 0);
  assert.equal(log.lines[0]?.event, 'channel-refused');
  assert.equal(connections, 0);
});

test('SSH and terminal are answered as unsupported', () => {
  const log = memoryLog();
  const targets = new Targets({ allow: PortRanges.parse('none'), allowUnix: [] }, log, NO_SSH);
  for (const target of [
    { kind: 'ssh', authorizedKeys: [] },
    { kind: 'terminal', session: 's' },
  ] as const) {
    const channel = new FakeChannel(target);
    targets.connect(channel);
    assert.equal(channel.resetWith?.code, 'unsupported');
  }
  const unix = new FakeChannel({ kind: 'unix', path: '/run/docker.sock' });
  targets.connect(unix);
  assert.equal(unix.resetWith?.code, 'not-allowed');
});

test('an app that closes abruptly resets the channel', async (t) => {
  const port = await app(t, (socket) => socket.once('data', () => socket.resetAndDestroy()));
  const { channel, targets } = open(port);
  channel.handler.onData(Buffer.from('x'));
  await channel.until((c) => c.closed);
  assert.equal(channel.resetWith?.code, 'target-closed');
  await targets.idle(bound());
});

test('a channel that is reset shows the app an abrupt end', async (t) => {
  let appSocket: Socket | undefined;
  const port = await app(t, (socket) => (appSocket = socket.resume()));
  const { channel, targets } = open(port);
  channel.handler.onData(Buffer.from('half an upload'));
  await channel.until((c) => c.opened && c.consumedBytes > 0);
  while (!appSocket) await new Promise((resolve) => setImmediate(resolve));
  const socket = appSocket;
  const failed = new Promise((resolve) => socket.once('close', resolve));
  channel.close(new TunnelError('cancelled', 'gone', { remote: true }));
  assert.equal(await failed, true, 'closed with an error');
  await targets.idle(bound());
});

test('a channel that is reset before its target is connected shows the app no orderly end either', async (t) => {
  const seen: string[][] = [];
  const port = await app(t, (socket) => {
    const events: string[] = [];
    seen.push(events);
    socket.on('data', (data) => events.push(data.toString()));
    socket.on('end', () => {
      events.push('end');
      socket.end();
    });
  });
  const { channel, targets } = open(port);
  // By now the kernel has made the connection, and nobody has been told.
  await new Promise<void>((resolve) => process.nextTick(resolve));
  assert.equal(channel.opened, false);
  channel.handler.onClose(new TunnelError('cancelled', 'gone'));
  await targets.idle(bound());
  // Accepted after the first, if that was accepted at all.
  const last = connect(port, '127.0.0.1').resume().end('last');
  await once(last, 'close');
  assert.deepEqual(seen.at(-1), ['last', 'end']);
  for (const events of seen.slice(0, -1)) assert.deepEqual(events, []);
});

test('a channel to a unix socket that is reset ends the connection', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'burrow-unix-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'app.sock');
  const accepted = Promise.withResolvers<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => accepted.resolve(socket));
  server.listen(path);
  await once(server, 'listening');
  t.after(() => server.close());
  const targets = new Targets(
    { allow: PortRanges.parse('1024-65535'), allowUnix: [path] },
    memoryLog(),
    NO_SSH,
  );
  const channel = new FakeChannel({ kind: 'unix', path });
  targets.connect(channel);
  await channel.until((c) => c.opened);
  const socket = await accepted.promise;
  socket.on('error', () => {}).resume();
  channel.handler.onClose(new TunnelError('cancelled', 'gone'));
  await once(socket, 'end');
  socket.destroy();
  await targets.idle(bound());
});

test('an app that does not read holds the channel back; reading lets it go on', async (t) => {
  let appSocket: Socket | undefined;
  const port = await app(t, (socket) => (appSocket = socket.pause()));
  const { channel, targets } = open(port);
  await channel.until((c) => c.opened);
  while (!appSocket) await new Promise((resolve) => setImmediate(resolve));
  const chunk = Buffer.alloc(64 * 1024, 1);
  const total = 256 * chunk.length;
  for (let i = 0; i < 256; i++) channel.handler.onData(chunk);
  await new Promise((resolve) => setImmediate(resolve));
  assert.ok(channel.consumedBytes < total, 'not everything is called consumed');
  let received = 0;
  appSocket.on('data', (bytes) => (received += bytes.length));
  appSocket.resume();
  await channel.until((c) => c.consumedBytes === total);
  while (received < total) await new Promise((resolve) => setImmediate(resolve));
  channel.close(new TunnelError('cancelled', 'gone'));
  await targets.idle(bound());
});

test('a channel without room pauses the app, byte-exact, whatever the size of the reads', async (t) => {
  const body = Buffer.alloc(3 * 1024 * 1024 + 7);
  for (let i = 0; i < body.length; i++) body[i] = (i * 31 + (i >> 8)) & 255;
  const port = await app(t, (socket) => socket.end(body));
  const noise = await app(t, (socket) => socket.resume().end(Buffer.alloc(900_000, 0xee)));
  const { channel, targets } = open(port);
  const other = open(noise);
  channel.room = false;
  while (!channel.ended) {
    const before = channel.written.length;
    await channel.until((c) => c.written.length > before || c.ended);
    // Long enough for another socket to read into the shared slab meanwhile.
    await new Promise((resolve) => setImmediate(resolve));
    assert.ok(channel.written.length <= before + 1, 'one read, then a pause');
    channel.handler.onWritable?.();
  }
  assert.ok(Buffer.concat(channel.written).equals(body));
  await other.channel.until((c) => c.ended);
  assert.ok(Buffer.concat(other.channel.written).every((byte) => byte === 0xee));
  channel.handler.onEnd();
  channel.close();
  other.channel.handler.onEnd();
  other.channel.close();
  await Promise.all([targets.idle(bound()), other.targets.idle(bound())]);
});

test('a thousand channels cancelled at every stage leave nothing behind', async (t) => {
  let live = 0;
  const port = await app(t, (socket) => {
    live += 1;
    socket.resume().on('close', () => (live -= 1));
  });
  const targets = new Targets(
    { allow: PortRanges.parse('1024-65535'), allowUnix: [] },
    memoryLog(),
    NO_SSH,
  );
  for (let i = 0; i < 1000; i++) {
    const channel = new FakeChannel({ kind: 'tcp', port });
    targets.connect(channel);
    channel.handler.onData(Buffer.from('x'));
    const cancel = () => channel.close(new TunnelError('cancelled', 'gone'));
    if (i % 3 === 0) cancel();
    else if (i % 3 === 1) setImmediate(cancel);
    else void channel.until((c) => c.opened).then(cancel);
    if (i % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await targets.idle(bound());
  while (live > 0) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(targets.active, 0);
});
