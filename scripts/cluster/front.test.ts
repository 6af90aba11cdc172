import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { buffer, text } from 'node:stream/consumers';
import { test, type TestContext } from 'node:test';
import { Front } from './front.ts';

interface FakeRelay {
  readonly id: string;
  readonly server: Server;
  readonly port: number;
  ready: boolean;
}

/** Says its name; echoes what is sent to /echo. */
async function fakeRelay(t: TestContext, id: string): Promise<FakeRelay> {
  const server = createServer((request, response) => {
    if (request.url === '/readyz') return response.writeHead(relay.ready ? 200 : 503).end();
    response.setHeader('connection', 'close');
    if (request.url === '/echo') return request.pipe(response);
    response.end(id);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const relay: FakeRelay = {
    id,
    server,
    port: (server.address() as AddressInfo).port,
    ready: true,
  };
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return relay;
}

async function frontOf(t: TestContext, relays: readonly FakeRelay[]): Promise<Front> {
  const front = new Front({ port: 0, sshPort: 0, sourceAddress: undefined });
  await front.start();
  t.after(() => front.stop());
  for (const { id, port } of relays) front.add({ id, port, sshPort: port });
  await front.check();
  return front;
}

const ask = async (port: number): Promise<string> =>
  (await fetch(`http://127.0.0.1:${port}/`)).text();

test('connections go to the relays in turn', async (t) => {
  const relays = [await fakeRelay(t, 'a'), await fakeRelay(t, 'b'), await fakeRelay(t, 'c')];
  const front = await frontOf(t, relays);
  const served: string[] = [];
  for (let i = 0; i < 6; i += 1) served.push(await ask(front.port));
  assert.deepEqual([...served].sort(), ['a', 'a', 'b', 'b', 'c', 'c']);
  assert.notEqual(await ask(front.sshPort), '');
});

test('a relay that is not ready, or gone, gets none', async (t) => {
  const [a, b, c] = [await fakeRelay(t, 'a'), await fakeRelay(t, 'b'), await fakeRelay(t, 'c')];
  const front = await frontOf(t, [a, b, c]);
  a.ready = false;
  await front.check();
  // Without a check in between: noticed by the connection, which goes to the next one.
  b.server.close();
  b.server.closeAllConnections();
  for (let i = 0; i < 6; i += 1) assert.equal(await ask(front.port), 'c');
  a.ready = true;
  await front.check();
  const served = [await ask(front.port), await ask(front.port)].sort();
  assert.deepEqual(served, ['a', 'c']);
});

test('when none is ready, any of them may say why', async (t) => {
  const [a, b] = [await fakeRelay(t, 'a'), await fakeRelay(t, 'b')];
  const front = await frontOf(t, [a, b]);
  a.ready = b.ready = false;
  await front.check();
  a.server.close();
  a.server.closeAllConnections();
  for (let i = 0; i < 3; i += 1) assert.equal(await ask(front.port), 'b');
});

test('without any relay, connections are refused rather than held', async (t) => {
  const front = await frontOf(t, []);
  await assert.rejects(ask(front.port));
});

test('bytes pass unharmed both ways, and one way may end before the other', async (t) => {
  const front = await frontOf(t, [await fakeRelay(t, 'a')]);
  const sent = randomBytes(3_000_000);
  const answer = await fetch(`http://127.0.0.1:${front.port}/echo`, { method: 'POST', body: sent });
  assert.ok(sent.equals(Buffer.from(await answer.arrayBuffer())));

  const socket = connect({ port: front.port, host: '127.0.0.1', allowHalfOpen: true });
  socket.end('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  assert.match(await text(socket), /\r\n\r\na$/);
});

test('stopping ends what is open', async (t) => {
  const relay = await fakeRelay(t, 'a');
  const front = await frontOf(t, [relay]);
  const arrived = once(relay.server, 'request') as Promise<[IncomingMessage]>;
  const socket = connect(front.port, '127.0.0.1');
  socket.write('POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n');
  await arrived;
  const ended = buffer(socket).catch(() => {});
  front.stop();
  front.stop();
  await ended;
});
