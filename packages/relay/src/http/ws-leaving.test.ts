// How a WebSocket through the gateway ends when the relay does, or when access is taken away.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { connect, createServer } from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import { test } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import { DEFAULT_HTTP_LIMITS } from './limits.ts';
import { harness, RawClient, upstream, waitUntil, type Harness } from './test-support.ts';
import { closeFrame, FrameTracker } from './ws-frames.ts';
import { ACCESS_GONE, RESTARTING } from './ws-reasons.ts';

const GRACE_MS = 20;
const UPGRADE =
  'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n';
const SWITCHED =
  'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n';

type Closed = readonly [number, string];

const closed = async (socket: WebSocket): Promise<Closed> => {
  const [code, reason] = (await once(socket, 'close')) as [number, Buffer];
  return [code, reason.toString()];
};

/** An app with the `ws` package, that sends back what comes. */
async function app(options: { perMessageDeflate?: boolean } = {}) {
  const server = createHttpServer();
  const sockets = new WebSocketServer({ server, ...options });
  const accepted: WebSocket[] = [];
  sockets.on('connection', (socket) => {
    accepted.push(socket);
    socket.on('error', () => {});
    socket.on('message', (data, binary) => socket.send(data as Buffer, { binary }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    accepted,
    async [Symbol.asyncDispose]() {
      for (const socket of accepted) socket.terminate();
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

async function dial(gate: Harness): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${gate.port}/`);
  socket.on('error', () => {});
  await once(socket, 'open');
  return socket;
}

/** A raw app that has switched protocols. */
async function rawApp(gate: (port: number) => Promise<Harness>) {
  const up = Promise.withResolvers<Socket>();
  const server = await upstream((socket) =>
    socket.once('data', () => {
      socket.write(`${SWITCHED}\r\n`);
      up.resolve(socket);
    }),
  );
  const harnessed = await gate(server.port);
  const client = new RawClient(harnessed.port).send(UPGRADE);
  await client.untilText('\r\n\r\n');
  client.text = '';
  return { gate: harnessed, server, client, app: await up.promise };
}

const text = (fin: boolean, opcode: number, payload: string): string =>
  String.fromCharCode((fin ? 0x80 : 0) | opcode, payload.length) + payload;
const CLOSE = closeFrame(1001, RESTARTING).toString('latin1');
const ANSWER = closeFrame(1001, '', Buffer.from([1, 2, 3, 4])).toString('latin1');

for (const perMessageDeflate of [false, true]) {
  test(`after the grace both sides are told, and it ends at once${perMessageDeflate ? '; compressed' : ''}`, async () => {
    await using server = await app({ perMessageDeflate });
    await using gate = await harness({ port: server.port });
    const socket = await dial(gate);
    socket.send('x'.repeat(5_000));
    const [echoed] = (await once(socket, 'message')) as [Buffer];
    assert.equal(echoed.length, 5_000);
    const [near, far] = [closed(socket), closed(server.accepted[0]!)];
    const began = performance.now();
    await gate.gateway.drain(GRACE_MS);
    assert.ok(performance.now() - began < DEFAULT_HTTP_LIMITS.webSocketCloseMs);
    assert.deepEqual(await near, [1001, RESTARTING]);
    assert.deepEqual(await far, [1001, RESTARTING]);
  });
}

test('traffic at full speed both ways ends between two messages', async () => {
  await using server = await app();
  await using gate = await harness({ port: server.port });
  const socket = await dial(gate);
  let got = 0;
  socket.on('message', (data: Buffer) => {
    assert.equal(data.length, 3_000);
    assert.equal(data.readUInt32BE(), got++);
  });
  const near = closed(socket);
  const far = closed(server.accepted[0]!);
  let sent = 0;
  const pump = (): void => {
    for (let i = 0; i < 50 && socket.bufferedAmount < 1_000_000; i++) {
      const message = Buffer.alloc(3_000);
      message.writeUInt32BE(sent++);
      socket.send(message);
    }
    if (socket.readyState === WebSocket.OPEN) setImmediate(pump);
  };
  pump();
  await waitUntil(() => got > 100);
  await gate.gateway.drain(GRACE_MS);
  assert.deepEqual(await near, [1001, RESTARTING]);
  assert.deepEqual(await far, [1001, RESTARTING]);
});

test('in the middle of a frame its rest is waited for; between fragments it may end', async () => {
  await using gate = await rawApp((port) => harness({ port })).then(hold);
  const { client, app: far } = gate;
  far.write(text(false, 1, 'one') + text(false, 0, 'three').slice(0, 4));
  await client.untilText('th');
  const draining = gate.gate.gateway.drain(GRACE_MS);
  client.send(text(true, 1, '').replace('\0', '\x80') + 'abcd');
  await new Promise((resolve) => setTimeout(resolve, GRACE_MS * 3));
  assert.ok(!client.text.includes(CLOSE));
  far.write(text(false, 0, 'three').slice(4) + text(true, 0, 'dropped'));
  await client.until((each) => each.text.endsWith(CLOSE));
  assert.equal(client.text, text(false, 1, 'one') + text(false, 0, 'three') + CLOSE);
  client.send(ANSWER);
  await client.untilEnd();
  client.socket.end();
  await draining;
});

test('a client that does not answer is cut, in bounded time', async () => {
  await using gate = await rawApp((port) =>
    harness({ port, limits: { webSocketCloseMs: 100 } }),
  ).then(hold);
  const began = performance.now();
  await gate.gate.gateway.drain(GRACE_MS);
  assert.ok(performance.now() - began < 1_000);
  await gate.client.untilEnd();
  assert.equal(gate.client.text, CLOSE);
});

for (const [what, down, up] of [
  ['the app speaks no WebSocket', '\x01\x02\x03\x04\x05', ''],
  ['the client speaks no WebSocket', '', 'hello'],
  ['the app has closed it', closeFrame(1000, 'bye').toString('latin1'), ''],
] as const) {
  test(`${what}: it is cut as any connection is`, async () => {
    await using gate = await rawApp((port) => harness({ port })).then(hold);
    const heard: Buffer[] = [];
    gate.app.on('data', (chunk: Buffer) => heard.push(chunk));
    gate.app.write(Buffer.from(`${down}`, 'latin1'));
    gate.client.send(up);
    await gate.client.until((each) => each.text === down);
    await waitUntil(() => Buffer.concat(heard).toString('latin1') === up);
    await gate.gate.gateway.drain(GRACE_MS);
    await gate.client.untilEnd();
    assert.equal(gate.client.text, down);
    assert.equal(Buffer.concat(heard).toString('latin1'), up);
  });
}

test('access that is taken away is said with 1008, and no byte passes any more', async () => {
  await using server = await app();
  await using gate = await harness({ port: server.port });
  const socket = await dial(gate);
  const near = closed(socket);
  const far = closed(server.accepted[0]!);
  gate.decide = () => ({ kind: 'respond', response: { status: 403, headers: [], body: '' } });
  gate.version += 1;
  assert.deepEqual(await near, [1008, ACCESS_GONE]);
  assert.equal((await far)[0], 1006);
  assert.equal(
    gate.logged.filter(({ message }) => /access was taken away/.test(message)).length,
    1,
  );
});

test('in the middle of a frame access that is taken away is a cut', async () => {
  await using gate = await rawApp((port) => harness({ port })).then(hold);
  gate.app.write(text(true, 1, 'secret').slice(0, 4));
  await gate.client.untilText('se');
  gate.gate.decide = () => ({ kind: 'respond', response: { status: 403, headers: [], body: '' } });
  gate.gate.version += 1;
  await gate.client.untilEnd();
  assert.ok(!gate.client.text.includes('taken away'));
});

test('over HTTP/2 too', async () => {
  await using server = await app();
  await using gate = await harness({ port: server.port });
  const front = createServer({ settings: { enableConnectProtocol: true } });
  front.on('stream', (stream, _headers, _flags, raw: string[]) =>
    gate.gateway.handleStream(stream, raw, {
      remoteAddress: '192.0.2.7',
      secure: true,
      trustedProxy: false,
    }),
  );
  front.listen(0, '127.0.0.1');
  await once(front, 'listening');
  const session = connect(`http://127.0.0.1:${(front.address() as AddressInfo).port}`);
  await once(session, 'remoteSettings');
  const dialled = async () => {
    const stream = session.request({
      ':method': 'CONNECT',
      ':protocol': 'websocket',
      ':scheme': 'http',
      ':path': '/',
      ':authority': 'a',
      'sec-websocket-version': '13',
    });
    const got: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => {
      got.push(chunk);
      const tracker = new FrameTracker(false);
      tracker.push(Buffer.concat(got));
      if (tracker.closed) stream.end(Buffer.from(ANSWER, 'latin1'));
    });
    stream.on('error', () => {});
    await once(stream, 'response');
    return { got, over: once(stream, 'close') };
  };
  const taken = await dialled();
  const before = gate.decide;
  gate.decide = () => ({ kind: 'respond', response: { status: 403, headers: [], body: '' } });
  gate.version += 1;
  await taken.over;
  assert.deepEqual(Buffer.concat(taken.got), closeFrame(1008, ACCESS_GONE));
  gate.decide = before;
  gate.version += 1;
  const drained = await dialled();
  const far = closed(server.accepted[1]!);
  await gate.gateway.drain(GRACE_MS);
  await drained.over;
  assert.deepEqual(Buffer.concat(drained.got), closeFrame(1001, RESTARTING));
  assert.deepEqual(await far, [1001, RESTARTING]);
  session.destroy();
  front.close();
  await once(front, 'close');
});

/** Disposes of what a raw connection is made of. */
function hold<T extends { gate: Harness; server: AsyncDisposable; client: RawClient }>(all: T) {
  return Object.assign(all, {
    async [Symbol.asyncDispose]() {
      all.client.socket.destroy();
      await all.gate[Symbol.asyncDispose]();
      await all.server[Symbol.asyncDispose]();
    },
  });
}
