import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer as createHttpServer, type IncomingMessage } from 'node:http';
import {
  connect,
  createServer,
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type Settings,
} from 'node:http2';
import type { AddressInfo, Server } from 'node:net';
import { test } from 'node:test';
import { harness, upstream, waitUntil, type Harness } from './test-support.ts';

/** The gateway behind a node:http2 server, and a client session to it. */
async function browser(
  gate: Harness,
  settings: Settings = {},
): Promise<{ session: ClientHttp2Session } & AsyncDisposable> {
  const server = createServer({ settings: { enableConnectProtocol: true } });
  server.on('stream', (stream, _headers, _flags, raw: string[]) => {
    gate.gateway.handleStream(stream, raw, {
      remoteAddress: '192.0.2.7',
      secure: true,
      trustedProxy: false,
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const session = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, {
    settings,
  });
  session.on('error', () => {});
  await once(session, 'remoteSettings');
  return {
    session,
    async [Symbol.asyncDispose]() {
      session.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

async function listening<S extends Server>(server: S): Promise<{ port: number } & AsyncDisposable> {
  const sockets = new Set<{ destroy(): void }>();
  server.on('connection', (socket) => sockets.add(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.close();
      for (const socket of sockets) socket.destroy();
      await once(server, 'close');
    },
  };
}

interface Answer {
  headers: IncomingHttpHeaders & { ':status'?: number | undefined };
  body: string;
  trailers: IncomingHttpHeaders | undefined;
}

async function answer(stream: ClientHttp2Stream): Promise<Answer> {
  const result: Answer = { headers: {}, body: '', trailers: undefined };
  stream.on('response', (headers) => (result.headers = headers));
  stream.on('trailers', (headers) => (result.trailers = headers));
  stream.setEncoding('latin1');
  stream.on('data', (chunk: string) => (result.body += chunk));
  await once(stream, 'close');
  return result;
}

function fetch2(
  session: ClientHttp2Session,
  headers: OutgoingHttpHeaders,
  body?: string,
): Promise<Answer> {
  const stream = session.request(
    { ':authority': 'w.test', ...headers },
    { endStream: body === undefined },
  );
  if (body !== undefined) stream.end(body);
  return answer(stream);
}

test('an HTTP/2 request reaches an HTTP/1.1 app and its answer comes back, trailers too', async () => {
  let seen: IncomingMessage | undefined;
  let got = '';
  await using app = await listening(
    createHttpServer((req, res) => {
      seen = req;
      req.on('data', (chunk: Buffer) => (got += chunk.toString()));
      req.on('end', () => {
        res.writeHead(201, { 'Set-Cookie': ['a=1', 'b=2; Domain=test'], Trailer: 'X-T' });
        res.write('one');
        res.addTrailers({ 'X-T': 'yes' });
        res.end('two');
      });
    }),
  );
  await using gate = await harness({ port: app.port });
  await using client = await browser(gate);
  const stream = client.session.request({
    ':method': 'POST',
    ':path': '/p?q=%20',
    ':authority': 'w.test',
    cookie: ['x=1', 'burrow_app=s', 'y=2'],
  });
  stream.write('hel');
  stream.end('lo');
  const { headers, body, trailers } = await answer(stream);
  assert.equal(headers[':status'], 201);
  assert.deepEqual(headers['set-cookie'], ['a=1']);
  assert.equal(headers['transfer-encoding'], undefined);
  assert.equal(body, 'onetwo');
  assert.equal(trailers?.['x-t'], 'yes');
  assert.equal(got, 'hello');
  assert.equal(seen?.url, '/p?q=%20');
  assert.equal(seen?.headers.host, 'w.test');
  assert.equal(seen?.headers.cookie, 'x=1; y=2');
  assert.equal(seen?.headers['x-forwarded-proto'], 'https');
});

test('HEAD, 304, local answers and failures over HTTP/2', async () => {
  await using app = await listening(
    createHttpServer((req, res) => {
      res.statusCode = req.url === '/304' ? 304 : 200;
      if (req.url === '/') res.setHeader('Content-Length', 4);
      res.end(req.url === '/304' ? undefined : 'body');
    }),
  );
  await using gate = await harness({ port: app.port });
  await using client = await browser(gate);
  const head = await fetch2(client.session, { ':method': 'HEAD', ':path': '/' });
  assert.equal(head.headers['content-length'], '4');
  assert.equal(head.body, '');
  assert.equal((await fetch2(client.session, { ':path': '/304' })).headers[':status'], 304);
  gate.decide = () => ({
    kind: 'respond',
    response: { status: 401, headers: ['X-Why', 'y'], body: 'no' },
  });
  const local = await fetch2(client.session, { ':method': 'POST', ':path': '/' }, 'body');
  assert.equal(local.headers[':status'], 401);
  assert.equal(local.body, 'no');
  await using none = await harness({ port: 1 });
  await using other = await browser(none);
  const failed = await fetch2(other.session, { ':path': '/' });
  assert.equal(failed.headers['x-error'], 'nothing-listens');
});

test('what would be another request in HTTP/1 is refused', async () => {
  await using gate = await harness({ port: 1 });
  await using client = await browser(gate);
  for (const headers of [
    { ':path': '/a b' },
    { ':path': '/a#b' },
    { ':path': 'x' },
    { ':path': '/', host: 'other' },
    { ':path': '/', ':authority': 'u@w.test' },
  ]) {
    // Either node:http2 resets the stream, or the gateway answers.
    const got = await fetch2(client.session, headers).catch(() => undefined);
    assert.equal(got?.headers[':status'] ?? 400, 400, JSON.stringify(headers));
  }
  assert.equal(gate.router.opened.length, 0);
});

test('extended CONNECT becomes an HTTP/1.1 WebSocket upgrade', async () => {
  const app = createHttpServer();
  app.on('upgrade', (req, socket) => {
    const accept = createHash('sha1')
      .update(`${req.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
      .digest('base64');
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\nhi`,
    );
    socket.pipe(socket);
  });
  await using server = await listening(app);
  await using gate = await harness({ port: server.port });
  await using client = await browser(gate);
  const stream = client.session.request({
    ':method': 'CONNECT',
    ':protocol': 'websocket',
    ':path': '/ws',
    ':scheme': 'http',
    ':authority': 'w.test',
    'sec-websocket-version': '13',
  });
  const [headers] = (await once(stream, 'response')) as [
    IncomingHttpHeaders & { ':status': number },
  ];
  assert.equal(headers[':status'], 200);
  assert.equal(headers['sec-websocket-accept'], undefined);
  let text = '';
  stream.setEncoding('latin1');
  stream.on('data', (chunk: string) => (text += chunk));
  await waitUntil(() => text === 'hi');
  stream.write('echo');
  await waitUntil(() => text === 'hiecho');
  assert.equal(gate.heads[0]?.upgrade, 'websocket');
  stream.end();
  await waitUntil(() => gate.router.channels.size === 0);
});

test('extended CONNECT with a length, or to a protocol that is no token or HTTP itself, is refused', async () => {
  await using gate = await harness({ port: 1 });
  await using client = await browser(gate);
  for (const [headers, status] of [
    [{ ':protocol': 'websocket', 'content-length': '5' }, 400],
    [{ ':protocol': 'websocket', 'content-length': '0' }, 400],
    [{ ':protocol': 'websocket, other' }, 400],
    [{ ':protocol': 'h2c' }, 501],
    [{ ':protocol': 'H2C' }, 501],
    [{ ':protocol': 'h2' }, 501],
  ] as const) {
    const stream = client.session.request(
      {
        ':method': 'CONNECT',
        ':path': '/',
        ':scheme': 'http',
        ':authority': 'w.test',
        ...headers,
      },
      { endStream: false },
    );
    stream.on('error', () => {});
    const [got] = (await once(stream, 'response')) as [{ ':status': number }];
    assert.equal(got[':status'], status, JSON.stringify(headers));
    stream.close();
  }
  assert.equal(gate.heads.length, 0);
});

/** Answers requests for `/next` when told to, all others at once with more than a browser wants. */
async function answersLate(): Promise<{ port: number; answer(): void } & AsyncDisposable> {
  let late = (): void => {};
  const app = await upstream((socket) => {
    socket.on('data', (chunk) => {
      const text = chunk.toString('latin1');
      if (text.startsWith('GET /next')) {
        late = () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext');
      } else if (text.includes(' HTTP/1.1\r\n')) {
        socket.write(`HTTP/1.1 404 No\r\nContent-Length: 5000\r\n\r\n${'n'.repeat(5000)}`);
      }
    });
  });
  return Object.assign(app, { answer: () => late() });
}

const UPGRADE = { ':method': 'CONNECT', ':protocol': 'websocket', ':scheme': 'http' };
for (const [name, first, channels] of [
  ['an upgrade that was refused', UPGRADE, 2],
  ['an upload that ended after its answer', { ':method': 'POST' }, 1],
] as const) {
  test(`a browser that resets ${name} disturbs nobody else`, async () => {
    await using app = await answersLate();
    await using gate = await harness({ port: app.port, now: () => 0 });
    // It takes 1000 bytes of the answer, so its stream stays open.
    await using slow = await browser(gate, { initialWindowSize: 1000 });
    await using other = await browser(gate);
    const stream = slow.session.request(
      { ':path': '/', ':authority': 'w.test', ...first },
      { endStream: false },
    );
    stream.on('error', () => {});
    stream.pause();
    await once(stream, 'response');
    if (channels === 1) {
      stream.end('body');
      await waitUntil(() => gate.gateway.idleUpstreams === 1);
    } else {
      await waitUntil(() => gate.router.channels.size === 0);
      assert.equal(
        gate.gateway.idleUpstreams,
        0,
        'no connection that was asked to upgrade is kept',
      );
    }
    const next = fetch2(other.session, { ':path': '/next' });
    await waitUntil(() => gate.heads.length === 2 && gate.gateway.idleUpstreams === 0);
    stream.close(8);
    await waitUntil(() => gate.gateway.connections === 1);
    await waitUntil(() => {
      app.answer();
      return gate.gateway.connections === 0;
    });
    const { headers, body } = await next;
    assert.deepEqual([headers[':status'], body], [200, 'next']);
    assert.equal(gate.router.opened.length, channels);
  });
}

test('after a refused upgrade the stream ends, with all of the answer', async () => {
  await using app = await answersLate();
  await using gate = await harness({ port: app.port });
  await using client = await browser(gate);
  const stream = client.session.request(
    { ...UPGRADE, ':path': '/', ':authority': 'w.test' },
    { endStream: false },
  );
  const { headers, body } = await answer(stream);
  assert.deepEqual([headers[':status'], body.length], [404, 5000]);
  assert.equal(stream.rstCode, 0);
});

test('a browser that takes nothing of what waits for it loses its stream after a while', async () => {
  let time = 0;
  await using app = await listening(
    createHttpServer((_req, res) => res.end(Buffer.alloc(100_000))),
  );
  await using gate = await harness({
    port: app.port,
    limits: { readerIdleMs: 60_000 },
    now: () => time,
  });
  await using slow = await browser(gate, { initialWindowSize: 1000 });
  const stream = slow.session.request({ ':path': '/', ':authority': 'w.test' });
  stream.on('error', () => {});
  stream.pause();
  await once(stream, 'response');
  for (time of [1_000, 59_000]) {
    // A round of the gateway's own timer.
    await new Promise((resolve) => setTimeout(resolve, 600));
  }
  assert.equal(gate.gateway.connections, 1);
  time = 62_000;
  await waitUntil(() => gate.gateway.connections === 0 && gate.router.channels.size === 0);
  await waitUntil(() => stream.rstCode === 8);
});

test('an h2c app gets HTTP/2, many requests on one channel, with trailers both ways', async () => {
  const app = createServer();
  let sum: string | undefined;
  app.on('stream', (stream, headers) => {
    stream.on('trailers', (trailers) => (sum = trailers['x-sum'] as string));
    stream.on('data', () => {});
    stream.on('end', () => {
      stream.respond({ ':status': 200, 'x-te': headers.te ?? 'none' }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.end('reply');
    });
  });
  await using server = await listening(app as unknown as Server);
  await using gate = await harness({ port: server.port, policy: { protocol: 'h2c' } });
  await using client = await browser(gate);
  const call = async () => {
    const stream = client.session.request(
      { ':method': 'POST', ':path': '/svc/Call', ':authority': 'w.test', te: 'trailers' },
      { waitForTrailers: true },
    );
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '3' }));
    stream.end('abc');
    return await answer(stream);
  };
  const answers = await Promise.all([call(), call(), call()]);
  for (const { headers, body, trailers } of answers) {
    assert.equal(headers['x-te'], 'trailers', `${body} ${JSON.stringify(headers)}`);
    assert.equal(body, 'reply');
    assert.equal(trailers?.['grpc-status'], '0');
  }
  assert.equal(sum, '3');
  assert.equal(gate.router.opened.length, 1);
});

test('a gRPC answer of trailers only keeps its shape', async () => {
  const app = createServer();
  app.on('stream', (stream) => {
    stream.resume().respond({ ':status': 200, 'grpc-status': '12' }, { endStream: true });
  });
  await using server = await listening(app as unknown as Server);
  await using gate = await harness({ port: server.port, policy: { protocol: 'h2c' } });
  await using client = await browser(gate);
  const stream = client.session.request({
    ':method': 'POST',
    ':path': '/',
    ':authority': 'w.test',
  });
  stream.end('abc');
  const [headers, flags] = (await once(stream, 'response')) as [IncomingHttpHeaders, number];
  assert.equal(headers['grpc-status'], '12');
  assert.equal(flags & 1, 1, 'the head ends the stream');
  stream.close();
});

test('a browser that resets its request resets the channel', async () => {
  await using app = await listening(createHttpServer((_req, res) => void res.write('x')));
  await using gate = await harness({ port: app.port });
  await using client = await browser(gate);
  const stream = client.session.request({ ':path': '/', ':authority': 'w.test' });
  await once(stream, 'data');
  stream.close(8);
  await waitUntil(() => gate.router.channels.size === 0 && gate.gateway.connections === 0);
});

test('an upload over HTTP/2 that stops in the middle gets 408; a call to an h2c app may be silent', async () => {
  let time = 0;
  await using app = await listening(createServer().on('stream', () => {}));
  await using silent = await listening(createHttpServer(() => {}));
  const options = { limits: { bodyIdleMs: 60_000 }, now: () => time };
  await using gate = await harness({ port: silent.port, ...options });
  await using grpc = await harness({ port: app.port, policy: { protocol: 'h2c' }, ...options });
  await using one = await browser(gate);
  await using two = await browser(grpc);
  const begin = (session: ClientHttp2Session): ClientHttp2Stream => {
    const stream = session.request({ ':method': 'POST', ':path': '/', ':authority': 'w.test' });
    stream.on('error', () => {});
    stream.write('half');
    return stream;
  };
  const stuck = begin(one.session);
  const allowed = begin(two.session);
  const answered = answer(stuck);
  await waitUntil(() => gate.router.opened.length + grpc.router.opened.length === 2);
  for (time of [1_000, 2_000, 90_000]) {
    // A round of the gateways' own timers.
    await new Promise((resolve) => setTimeout(resolve, 600));
  }
  assert.equal((await answered).headers[':status'], 408);
  await waitUntil(() => gate.router.channels.size === 0);
  assert.ok(!allowed.closed && grpc.router.channels.size === 1);
});
