import assert from 'node:assert/strict';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { once } from 'node:events';
import { test, type TestContext } from 'node:test';
import { SlowLine, type SlowLineOptions } from './slow-line.ts';

type Accept = (socket: Socket) => void;

async function lineTo(
  t: TestContext,
  accept: Accept,
  options: Omit<SlowLineOptions, 'targetPort'>,
) {
  const server = createServer({ allowHalfOpen: true }, accept);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const line = new SlowLine({ targetPort: (server.address() as AddressInfo).port, ...options });
  const port = await line.listen();
  const dial = () => {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    socket.on('error', () => {});
    t.after(() => socket.destroy());
    return socket;
  };
  t.after(async () => {
    await line.close();
    server.close();
  });
  return { line, dial };
}

async function drain(socket: Socket): Promise<number> {
  let bytes = 0;
  for await (const chunk of socket) bytes += (chunk as Buffer).length;
  return bytes;
}

test('a byte takes one round trip there and back, after one for the handshake', async (t) => {
  const { dial } = await lineTo(t, (socket) => socket.pipe(socket), { delayMs: 40 });
  const socket = dial();
  const start = performance.now();
  socket.write('x');
  await once(socket, 'data');
  const first = performance.now() - start;
  assert.ok(first >= 158 && first < 260, `first echo after ${first} ms, expected about 160`);

  const again = performance.now();
  socket.write('y');
  await once(socket, 'data');
  const second = performance.now() - again;
  assert.ok(second >= 78 && second < 130, `second echo after ${second} ms, expected about 80`);
});

test('all connections together get the rate of the line', async (t) => {
  const bytesPerSecond = 10_000_000;
  const size = 1_500_000;
  const accept: Accept = (socket) => {
    socket.on('error', () => {});
    socket.once('data', () => socket.end(Buffer.alloc(size, 'd')));
  };
  const { dial } = await lineTo(t, accept, { bytesPerSecond, delayMs: 5 });
  const rateNow = async (): Promise<number> => {
    const start = performance.now();
    const sockets = [dial(), dial(), dial()];
    for (const socket of sockets) socket.end('go');
    const got = await Promise.all(sockets.map((socket) => drain(socket)));
    const seconds = (performance.now() - start) / 1000;
    assert.deepEqual(got, [size, size, size]);
    const rate = (3 * size) / seconds;
    assert.ok(rate <= bytesPerSecond * 1.02, `moved ${rate} bytes/s, over the line's rate`);
    return rate;
  };
  // A machine that does other things can only make it slower: the best of a few tries is the line's own.
  let best = 0;
  for (let i = 0; i < 5 && best < bytesPerSecond * 0.8; i++) best = Math.max(best, await rateNow());
  assert.ok(best >= bytesPerSecond * 0.8, `moved ${best} bytes/s, far under the line's rate`);
});

test('the queue is bounded: a full one stops the sender, and delays others by at most its length', async (t) => {
  const bytesPerSecond = 10_000_000;
  const queueBytes = 1_000_000; // 100 ms of the line
  const accept: Accept = (socket) =>
    socket.on('data', (bytes: Buffer) => bytes.length < 100 && socket.write(bytes));
  const { line, dial } = await lineTo(t, accept, { bytesPerSecond, delayMs: 5, queueBytes });
  const key = dial();
  key.write('k');
  await once(key, 'data');

  const bulk = dial();
  bulk.write(Buffer.alloc(8_000_000));
  let most = 0;
  const until = performance.now() + 400;
  const echoes: number[] = [];
  while (performance.now() < until) {
    const start = performance.now();
    key.write('k');
    await once(key, 'data');
    echoes.push(performance.now() - start);
    most = Math.max(most, line.backlog.up);
  }
  assert.ok(most > queueBytes * 0.5, `the queue never filled: ${most}`);
  assert.ok(most <= queueBytes + 128 * 1024, `the queue grew to ${most}`);
  assert.ok(Math.max(...echoes) < 100 + 10 + 60, `a keystroke waited ${Math.max(...echoes)} ms`);
});

test('a half-close arrives after the last byte, and the other direction goes on', async (t) => {
  const accept: Accept = (socket) => {
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.on('end', () => socket.end(`got ${Buffer.concat(chunks).length}`));
  };
  const { dial } = await lineTo(t, accept, { delayMs: 2 });
  const socket = dial();
  socket.end(Buffer.alloc(200_000));
  let answer = '';
  for await (const chunk of socket) answer += String(chunk);
  assert.equal(answer, 'got 200000');
});

test('a receiver that does not read stops its sender, and not its neighbours', async (t) => {
  const accept: Accept = (socket) => {
    socket.once('data', (mode: Buffer) => {
      if (mode.toString() === 'flood') socket.write(Buffer.alloc(64_000_000));
      else socket.end('hello');
    });
    socket.on('error', () => {});
  };
  const { line, dial } = await lineTo(t, accept, { bytesPerSecond: 100_000_000, delayMs: 1 });
  const slow = dial();
  slow.pause();
  slow.write('flood');
  await once(slow, 'readable');
  const other = dial();
  other.end('x');
  assert.equal(await drain(other), 5);
  assert.ok(line.backlog.down <= 500_000);
});
