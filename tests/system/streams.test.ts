// What lasts: streams flushed at once, full duplex, upgrades, gRPC upstreams, uploads of any size.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect as connectHttp2, createServer as createHttp2Server } from 'node:http2';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { after, before, test, type TestContext } from 'node:test';
import WebSocket, { WebSocketServer } from 'ws';
import { startBurrow, type Burrow } from '../harness/burrow.ts';
import { rawUpstream, type Serve } from './support/raw-upstream.ts';
import { ByteReader, readHead, readResponse } from './support/raw-response.ts';

let burrow: Burrow;
before(async () => {
  burrow = await startBurrow({ workspace: 'flow' });
  await burrow.startAgent('flow');
});
after(() => burrow.stop());

/** A raw connection to the relay that has sent the head of a request to `port`. */
function ask(t: TestContext, port: number, requestLine: string, ...headers: string[]) {
  const socket = connect({
    port: burrow.port,
    host: '127.0.0.1',
    allowHalfOpen: true,
    noDelay: true,
  });
  t.after(() => socket.destroy());
  const lines = [
    requestLine,
    `Host: ${new URL(burrow.appUrl('flow', port)).host}`,
    `Burrow-Authorization: Bearer ${burrow.token}`,
    ...headers,
  ];
  socket.write(`${lines.join('\r\n')}\r\n\r\n`);
  return { socket, reader: new ByteReader(socket) };
}

async function upstream(t: TestContext, serve: Serve) {
  const started = await rawUpstream(serve);
  t.after(() => started[Symbol.asyncDispose]());
  return started;
}

async function listen(t: TestContext, server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return (server.address() as AddressInfo).port;
}

test(
  'each server-sent event arrives before the next one is sent',
  { timeout: 15_000 },
  async (t) => {
    let app: Socket | undefined;
    const { port } = await upstream(t, (socket) => {
      app = socket;
      socket.write(
        'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n',
      );
    });
    const { reader } = ask(t, port, 'GET /events HTTP/1.1');
    // The head alone, with no byte of the body: an EventSource opens by it.
    assert.equal((await readHead(reader)).status, 200);
    for (let event = 0; event < 20; event += 1) {
      app?.write(`9\r\ndata: ${String(event).padStart(2)}\n\r\n`);
      assert.equal(await reader.line('a chunk size'), '9');
      assert.equal(
        (await reader.exactly(9, 'an event')).toString(),
        `data: ${String(event).padStart(2)}\n`,
      );
      await reader.exactly(2, 'the end of the chunk');
    }
  },
);

test('an app that answers while it is asked: full duplex', { timeout: 15_000 }, async (t) => {
  const { port } = await upstream(t, (socket, _request, rest) => {
    socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
    const echo = (bytes: Buffer) => void socket.write(bytes);
    if (rest.length > 0) echo(rest);
    socket.on('data', echo);
  });
  const { socket, reader } = ask(t, port, 'POST / HTTP/1.1', 'Transfer-Encoding: chunked');
  assert.equal((await readHead(reader)).status, 200);
  for (const word of ['one', 'two', 'ten']) {
    socket.write(`3\r\n${word}\r\n`);
    assert.equal((await reader.exactly(8, 'the echo')).toString(), `3\r\n${word}\r\n`);
  }
  socket.write('0\r\n\r\n');
  assert.equal((await reader.exactly(5, 'the end')).toString(), '0\r\n\r\n');
});

test(
  'an upgrade to a protocol of its own, bytes behind the 101, half-close',
  { timeout: 15_000 },
  async (t) => {
    const { port } = await upstream(t, (socket) => {
      socket.write(
        'HTTP/1.1 101 Fine\r\nConnection: Upgrade\r\nUpgrade: burrow-test/1\r\n\r\nfirst;',
      );
      socket.on('data', (bytes: Buffer) => void socket.write(bytes));
      socket.on('end', () => socket.end('last'));
    });
    const { socket, reader } = ask(
      t,
      port,
      'GET / HTTP/1.1',
      'Connection: Upgrade',
      'Upgrade: burrow-test/1',
    );
    const response = await readResponse(reader, 'GET');
    assert.equal(response.status, 101);
    assert.equal((await reader.exactly(6, 'bytes behind the head')).toString(), 'first;');
    socket.write(Buffer.from([0, 255, 13, 10]));
    assert.deepEqual([...(await reader.exactly(4, 'the echo'))], [0, 255, 13, 10]);
    socket.end('bye;');
    assert.equal((await reader.rest()).toString(), 'bye;last');
  },
);

test('an upgrade that the app refuses', { timeout: 15_000 }, async (t) => {
  const { port } = await upstream(t, (socket) =>
    socket.write('HTTP/1.1 426 No\r\nContent-Length: 2\r\nUpgrade: other/1\r\n\r\nno'),
  );
  const { reader } = ask(
    t,
    port,
    'GET / HTTP/1.1',
    'Connection: Upgrade',
    'Upgrade: burrow-test/1',
  );
  const response = await readResponse(reader, 'GET');
  assert.equal(response.status, 426);
  assert.equal(response.body.toString(), 'no');
});

test('WebSocket: subprotocol, text, binary, ping, close code', { timeout: 15_000 }, async (t) => {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, handleProtocols: () => 'b' });
  t.after(() => server.close());
  await once(server, 'listening');
  server.on('connection', (socket) => {
    socket.on('message', (data, binary) => socket.send(data, { binary }));
    socket.on('close', (code, reason) => server.emit('client-closed', code, reason.toString()));
  });
  const { port } = server.address() as AddressInfo;
  const client = new WebSocket(`ws://127.0.0.1:${burrow.port}/ws?x=1`, ['a', 'b'], {
    headers: {
      Host: new URL(burrow.appUrl('flow', port)).host,
      'Burrow-Authorization': `Bearer ${burrow.token}`,
    },
  });
  t.after(() => client.terminate());
  await once(client, 'open');
  assert.equal(client.protocol, 'b');
  for (const [message, binary] of [
    [Buffer.from('grüße'), false],
    [Buffer.alloc(1_000_000, 7), true],
  ] as const) {
    client.send(message, { binary });
    const [data, isBinary] = (await once(client, 'message')) as [Buffer, boolean];
    assert.ok(data.equals(message));
    assert.equal(isBinary, binary);
  }
  client.ping('still there?');
  const [pong] = (await once(client, 'pong')) as [Buffer];
  assert.equal(pong.toString(), 'still there?');
  const closed = once(server, 'client-closed');
  client.close(4001, 'enough');
  assert.deepEqual(await closed, [4001, 'enough']);
});

test(
  'gRPC to an h2c upstream: messages both ways, then trailers',
  { timeout: 15_000 },
  async (t) => {
    const app = createHttp2Server();
    app.on('stream', (stream, headers) => {
      assert.equal(headers['te'], 'trailers');
      stream.respond(
        { ':status': 200, 'content-type': 'application/grpc' },
        { waitForTrailers: true },
      );
      stream.on('wantTrailers', () =>
        stream.sendTrailers({ 'grpc-status': '5', 'grpc-message': 'no%20such%20thing' }),
      );
      stream.on('data', (bytes: Buffer) => void stream.write(bytes));
      stream.on('end', () => stream.end());
    });
    const port = await listen(t, app as unknown as Server);
    await burrow.createWorkspace('grpc', { ports: [{ port, protocol: 'h2c' }] });
    await burrow.startAgent('grpc');
    const session = connectHttp2(`http://127.0.0.1:${burrow.port}`);
    t.after(() => session.destroy());
    const stream = session.request(
      {
        ':method': 'POST',
        ':path': '/pkg.Service/Method',
        ':authority': new URL(burrow.appUrl('grpc', port)).host,
        'content-type': 'application/grpc',
        te: 'trailers',
        'burrow-authorization': `Bearer ${burrow.token}`,
      },
      { endStream: false },
    );
    const trailers = once(stream, 'trailers');
    const [head] = (await once(stream, 'response')) as [Record<string, unknown>];
    assert.equal(head[':status'], 200);
    for (const message of ['one', 'two']) {
      stream.write(message);
      const [echo] = (await once(stream, 'data')) as [Buffer];
      assert.equal(echo.toString(), message);
    }
    stream.end();
    stream.resume();
    const [last] = (await trailers) as [Record<string, unknown>];
    assert.equal(last['grpc-status'], '5');
    assert.equal(last['grpc-message'], 'no%20such%20thing');
  },
);

/** 1 GiB takes half a minute on a busy machine: only when asked for. */
const UPLOAD_BYTES = process.env['BURROW_TEST_LONG'] === '1' ? 1024 ** 3 : 128 * 1024 ** 2;
/** Windows, socket buffers and garbage of both ends, which run in this process; far less than the upload. */
const MEMORY_BYTES = 100 * 1024 ** 2;

test('a large upload passes in constant memory, byte for byte', { timeout: 120_000 }, async (t) => {
  const hash = createHash('sha256');
  let got = 0;
  const { port } = await upstream(t, (socket, _request, rest) => {
    const take = (bytes: Buffer) => {
      got += bytes.length;
      hash.update(bytes);
      if (got === UPLOAD_BYTES) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone');
    };
    if (rest.length > 0) take(rest);
    socket.on('data', take);
  });
  const { socket, reader } = ask(t, port, 'PUT /big HTTP/1.1', `Content-Length: ${UPLOAD_BYTES}`);
  const chunk = Buffer.alloc(1024 * 1024);
  for (let at = 0; at < chunk.length; at += 4) chunk.writeUInt32LE((at * 2_654_435_761) >>> 0, at);
  const sent = createHash('sha256');
  const before = process.memoryUsage().rss;
  let most = before;
  for (let at = 0; at < UPLOAD_BYTES; at += chunk.length) {
    sent.update(chunk);
    if (!socket.write(chunk)) await once(socket, 'drain');
    most = Math.max(most, process.memoryUsage().rss);
  }
  const response = await readResponse(reader, 'PUT');
  assert.equal(response.body.toString(), 'done');
  assert.equal(hash.digest('hex'), sent.digest('hex'));
  assert.ok(most - before < MEMORY_BYTES, `memory grew by ${(most - before) / 1024 ** 2} MiB`);
});

test('a slow reader holds up nobody else', { timeout: 30_000 }, async (t) => {
  const body = 64 * 1024 * 1024;
  const server = createServer((socket) => {
    socket.on('error', () => {});
    // Connections are kept and used again; a GET without a body comes in one piece here.
    socket.on('data', (bytes: Buffer) => {
      const flood = bytes.toString('latin1').startsWith('GET /flood');
      const answer = flood ? Buffer.alloc(body) : Buffer.from('ok');
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${answer.length}\r\n\r\n`);
      socket.write(answer);
    });
  });
  const port = await listen(t, server);
  const slow = Array.from({ length: 8 }, () => ask(t, port, 'GET /flood HTTP/1.1'));
  for (const { reader, socket } of slow) {
    assert.equal((await readHead(reader)).status, 200);
    socket.pause();
  }
  for (let round = 0; round < 50; round += 1) {
    const answer = await burrow.send(burrow.appUrl('flow', port), {
      signal: AbortSignal.timeout(2_000),
    });
    assert.equal(answer.text, 'ok');
  }
  // And it gets all of its own in the end.
  const [first] = slow;
  assert.ok(first);
  first.socket.resume();
  await first.reader.skip(body, 'the rest of the slow body');
});
