import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { duplexPair } from 'node:stream';
import { test } from 'node:test';
import { harness, upstream, waitUntil } from './test-support.ts';

test('a client that takes nothing of what waits for it is cut off; one that takes some is not', async () => {
  let time = 0;
  const piece = Buffer.alloc(64 * 1024);
  await using app = await upstream((socket) => {
    const more = (): void => {
      while (socket.write(piece));
    };
    socket.on('drain', more);
    socket.once('data', () => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n');
      more();
    });
  });
  await using gate = await harness({
    port: app.port,
    limits: { readerIdleMs: 60_000 },
    now: () => time,
  });
  const begin = async (): Promise<Socket> => {
    const socket = connect({ port: gate.port, host: '127.0.0.1' });
    socket.on('error', () => {}).pause();
    await once(socket, 'connect');
    socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    return socket;
  };
  const stopped = await begin();
  const slow = await begin();
  // Everything between app and client is full.
  const full = async (): Promise<void> => {
    let before = '';
    await waitUntil(() => {
      const now = gate.router.opened.map((channel) => channel.owed).join();
      const still = now === before && gate.router.opened.every(({ owed }) => owed > 256 * 1024);
      before = now;
      return still && gate.router.opened.length === 2;
    });
  };
  const tick = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1_100));
  await full();
  time = 1_000;
  await tick();
  time = 50_000;
  let taken = 0;
  slow.on('data', (chunk: Buffer) => {
    taken += chunk.length;
    if (taken > 8 << 20) slow.pause();
  });
  slow.resume();
  await waitUntil(() => taken > 8 << 20);
  await full();
  await tick();
  time = 62_000;
  await waitUntil(() => gate.gateway.connections === 1);
  await tick();
  assert.equal(gate.gateway.connections, 1);
  assert.equal(gate.router.channels.size, 1);
  time = 111_000;
  await waitUntil(() => gate.gateway.connections === 0 && gate.router.channels.size === 0);
  stopped.destroy();
  slow.destroy();
});

test('the last bytes of an answer wait for a slow client, whether the connection stays or not', async () => {
  let time = 0;
  const body = 'b'.repeat(200_000);
  await using app = await upstream((socket) => {
    socket.on('data', () =>
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`),
    );
  });
  await using gate = await harness({ port: app.port, now: () => time });
  for (const version of ['1.0', '1.1']) {
    const [client, server] = duplexPair();
    gate.gateway.handleSocket(server, {
      remoteAddress: '192.0.2.7',
      secure: false,
      trustedProxy: false,
    });
    const opened = gate.router.opened.length;
    client.write(`GET / HTTP/${version}\r\nHost: a\r\n\r\n`);
    // All of it has left the app, and waits for the client.
    await waitUntil(
      () =>
        gate.gateway.idleUpstreams > 0 ||
        (gate.router.opened.length > opened && gate.router.channels.size === 0),
    );
    assert.ok(server.writableLength > 0);
    time += 400_000;
    await new Promise((resolve) => setTimeout(resolve, 600));
    let text = '';
    client.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
    await waitUntil(
      () => text.endsWith(body),
      () => `${text.length} bytes`,
    );
    // Then its time is over.
    await waitUntil(() => {
      time += 70_000;
      return gate.gateway.connections === 0;
    });
    client.destroy();
    await waitUntil(() => gate.gateway.idleUpstreams === 0);
  }
});
