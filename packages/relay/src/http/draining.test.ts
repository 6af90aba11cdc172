import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect, createServer as createHttp2Server } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { RawClient, harness, upstream, waitUntil, type Harness } from './test-support.ts';

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';

test('connections on a link that drains are not used again, and closed when idle', async () => {
  await using app = await upstream((socket) =>
    socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')),
  );
  // Only draining ends them.
  await using gate = await harness({ port: app.port, limits: { upstreamIdleMs: 60_000 } });
  const clients = [new RawClient(gate.port).send(GET), new RawClient(gate.port).send(GET)];
  await Promise.all(clients.map((client) => client.untilText('ok')));
  await waitUntil(() => gate.gateway.idleUpstreams === 2);
  const old = gate.router.current;
  gate.router.current = { draining: false };
  old.draining = true;
  const [client] = clients as [RawClient];
  client.text = '';
  client.send(GET);
  await client.untilText('ok');
  assert.equal(gate.router.opened.length, 3);
  assert.equal(gate.router.opened[2]?.link, gate.router.current);
  await waitUntil(() => gate.router.channels.size === 1);
  assert.equal(gate.gateway.idleUpstreams, 1);
  for (const each of clients) each.socket.destroy();
});

test('a connection that is in use when its link drains is closed after its answer', async () => {
  let answer: (() => void) | undefined;
  await using app = await upstream((socket) =>
    socket.on('data', () => {
      answer = () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    }),
  );
  await using gate = await harness({ port: app.port });
  const client = new RawClient(gate.port).send(GET);
  await waitUntil(() => app.sockets.size === 1 && gate.router.opened[0]?.opened === true);
  gate.router.current.draining = true;
  await new Promise((resolve) => setImmediate(resolve));
  await waitUntil(() => answer !== undefined);
  answer?.();
  await waitUntil(() => client.text.endsWith('ok'));
  assert.match(client.text, /ok$/);
  await waitUntil(() => gate.router.channels.size === 0);
  assert.equal(gate.gateway.idleUpstreams, 0);
  client.socket.destroy();
});

/** An app that says what it got. */
async function echo(): Promise<{ port: number; asked: () => number } & AsyncDisposable> {
  let asked = 0;
  const server = createServer((req, res) => {
    asked += 1;
    let body = '';
    req.on('data', (chunk: Buffer) => (body += chunk.toString()));
    req.on('end', () => res.end(`[${req.method} ${body}]`));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    asked: () => asked,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

const REQUESTS: readonly [string, string, RegExp][] = [
  ['GET', GET, /\[GET \]$/],
  ['DELETE', 'DELETE / HTTP/1.1\r\nHost: a\r\n\r\n', /\[DELETE \]$/],
  [
    'POST with a length',
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello',
    /\[POST hello\]$/,
  ],
  [
    'chunked POST, another request behind it',
    `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n${GET}`,
    /\[POST hello\][^]*\[GET \]/,
  ],
];

for (const [name, request, expected] of REQUESTS) {
  test(`refused by a draining agent, sent again on another link: ${name}`, async () => {
    await using app = await echo();
    await using gate = await harness({ port: app.port });
    gate.router.refusals = 1;
    const client = new RawClient(gate.port).send(request);
    await client.until(({ text }) => expected.test(text));
    assert.equal(gate.router.opened.length, 2);
    client.socket.destroy();
  });
}

test('the second refusal is told', async () => {
  await using app = await echo();
  await using gate = await harness({ port: app.port });
  gate.router.refusals = 2;
  const client = new RawClient(gate.port).send(GET);
  assert.match(await client.untilText('\r\n\r\n'), /^HTTP\/1.1 503 [^]*X-Error: draining/);
  assert.equal(gate.router.opened.length, 2);
  client.socket.destroy();
  assert.equal(app.asked(), 0);
});

async function post2(gate: Harness, pieces: readonly string[]): Promise<string> {
  const server = createHttp2Server();
  server.on('stream', (stream, _headers, _flags, raw: string[]) =>
    gate.gateway.handleStream(stream, raw, {
      remoteAddress: '192.0.2.7',
      secure: true,
      trustedProxy: false,
    }),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const session = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const stream = session.request({ ':method': 'POST', ':path': '/', ':authority': 'w.test' });
  for (const piece of pieces) stream.write(piece);
  stream.end();
  let text = '';
  stream.setEncoding('latin1').on('data', (chunk: string) => (text += chunk));
  await once(stream, 'close');
  session.destroy();
  server.close();
  await once(server, 'close');
  return text;
}

test('refused by a draining agent, sent again on another link: POST over HTTP/2', async () => {
  await using app = await echo();
  await using gate = await harness({ port: app.port });
  gate.router.refusals = 1;
  assert.equal(await post2(gate, ['one', 'two']), '[POST onetwo]');
  assert.equal(gate.router.opened.length, 2);
});

test('over HTTP/2 no byte of the body is lost while a link is waited for', async () => {
  await using app = await echo();
  await using gate = await harness({ port: app.port });
  gate.router.refusals = 1;
  const open = gate.router.open.bind(gate.router);
  gate.router.open = (...args) => {
    const channel = open(...args);
    gate.router.linked = false;
    return channel;
  };
  setTimeout(() => gate.router.link(), 100);
  assert.equal(await post2(gate, ['one', 'two']), '[POST onetwo]');
});
