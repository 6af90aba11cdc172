import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, request, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { RawClient, harness, upstream, waitUntil } from './test-support.ts';

async function nodeApp(
  listener: RequestListener,
): Promise<{ port: number; server: Server } & AsyncDisposable> {
  const server = createServer(listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    server,
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close').catch(() => {});
    },
  };
}

/** Answers each request with what it saw, then `tail`. */
function scripted(answer: (head: string, body: () => string) => string) {
  return upstream((socket) => {
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      const end = text.indexOf('\r\n\r\n');
      if (end === -1) return;
      const head = text.slice(0, end + 4);
      text = text.slice(end + 4);
      socket.write(
        answer(head, () => text),
        'latin1',
      );
    });
  });
}

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

test('a request passes with order, case and duplicates, and gets trustworthy forwarding fields', async () => {
  let seen = '';
  await using app = await scripted((head) => {
    seen = head;
    return 'HTTP/1.1 200 Fine\r\nX-B: 1\r\nx-a: 2\r\nX-B: 3\r\nConnection: x-hop\r\nX-Hop: gone\r\nContent-Length: 2\r\n\r\nok';
  });
  await using gate = await harness({ port: app.port });
  const client = new RawClient(gate.port);
  client.send(
    'GET /a%20b?x=1&&y=%7E#'.slice(0, -1) +
      ' HTTP/1.1\r\nHost: App.test:81\r\nX-One: 1\r\nx-two: 2\r\nX-One: 3\r\nX-Forwarded-For: 6.6.6.6\r\n' +
      'X_Forwarded_Host: evil\r\nForwarded: for=evil\r\nConnection: x-private\r\nX-Private: p\r\n' +
      'Cookie: a=1; burrow_app=secret; b="2"\r\nBurrow-Authorization: Bearer burrow_pat_x\r\nAuthorization: Basic eA==\r\n\r\n',
  );
  assert.equal(
    await client.untilText('\r\n\r\nok'),
    'HTTP/1.1 200 Fine\r\nX-B: 1\r\nx-a: 2\r\nX-B: 3\r\nContent-Length: 2\r\n\r\nok',
  );
  assert.equal(
    seen,
    'GET /a%20b?x=1&&y=%7E HTTP/1.1\r\nHost: App.test:81\r\nX-One: 1\r\nx-two: 2\r\nX-One: 3\r\n' +
      'Cookie: a=1; b="2"\r\nAuthorization: Basic eA==\r\n' +
      'X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: app.test:81\r\nX-Forwarded-Port: 81\r\n' +
      'Forwarded: for=192.0.2.7;host="app.test:81";proto=http\r\n\r\n',
  );
  client.socket.destroy();
});

test('pipelined requests are answered in order over one upstream connection', async () => {
  let n = 0;
  await using app = await scripted(() => `HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n#${++n}`);
  await using gate = await harness({ port: app.port, reusable: true });
  const client = new RawClient(gate.port);
  client.send('GET /1 HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(3));
  const text = await client.untilText('#3');
  assert.match(text, /#1.*#2.*#3/s);
  assert.equal(gate.router.opened.length, 1);
  assert.equal(gate.heads.length, 1, 'byte-identical requests are decided once');
  gate.version = 2;
  client.send('GET /1 HTTP/1.1\r\nHost: a\r\n\r\n');
  await client.untilText('#4');
  assert.equal(gate.heads.length, 2, 'a new policy version is asked again');
  client.socket.destroy();
});

test('chunked bodies and trailers pass both ways', async () => {
  let got = '';
  let trailer: string | undefined;
  await using app = await nodeApp((req, res) => {
    req.setEncoding('latin1');
    req.on('data', (chunk: string) => (got += chunk));
    req.on('end', () => {
      trailer = req.trailers['x-sum'];
      res.writeHead(200, { Trailer: 'X-Back' });
      // Node 26 makes one chunk of what is written at once.
      res.write('first', () => {
        res.addTrailers({ 'X-Back': 'yes' });
        res.end('second');
      });
    });
  });
  await using gate = await harness({ port: app.port });
  const client = new RawClient(gate.port);
  client.send(
    'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n3;e=1\r\nabc\r\n',
  );
  client.send('2\r\nde\r\n0\r\nX-Sum: 5\r\nContent-Length: 9\r\n\r\n');
  const text = await client.untilText('X-Back: yes\r\n\r\n');
  assert.equal(got, 'abcde');
  assert.equal(trailer, '5');
  assert.match(text, /Transfer-Encoding: chunked\r\n/);
  assert.match(text, /\r\n\r\n5\r\nfirst\r\n6\r\nsecond\r\n0\r\nX-Back: yes\r\n\r\n$/);
  client.socket.destroy();
});

test('1xx pass, HEAD, 204 and 304 have no body, and the connection stays', async () => {
  await using app = await scripted((head) => {
    if (head.startsWith('HEAD')) return 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n';
    if (head.startsWith('GET /204')) return 'HTTP/1.1 204 No Content\r\n\r\n';
    if (head.startsWith('GET /304'))
      return 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n';
    return 'HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n' + OK;
  });
  await using gate = await harness({ port: app.port });
  const client = new RawClient(gate.port);
  client.send('HEAD / HTTP/1.1\r\nHost: a\r\n\r\n');
  await client.untilText('Content-Length: 100\r\n\r\n');
  client.send('GET /204 HTTP/1.1\r\nHost: a\r\n\r\n');
  await client.untilText('204 No Content\r\n\r\n');
  client.send('GET /304 HTTP/1.1\r\nHost: a\r\n\r\n');
  await client.untilText('Content-Length: 5\r\n\r\n');
  client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  const text = await client.untilText('ok');
  assert.match(text, /HTTP\/1.1 103 Early Hints\r\nLink: <\/x>\r\n\r\nHTTP\/1.1 200 OK/);
  client.socket.destroy();
});

test('Expect: 100-continue reaches the app, whose 100 lets the body come', async () => {
  await using app = await nodeApp(() => {});
  app.server.on('checkContinue', (req, res) => {
    res.writeContinue();
    req.resume().on('end', () => res.end('done'));
  });
  await using gate = await harness({ port: app.port });
  const client = new RawClient(gate.port);
  client.send('PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n');
  await client.untilText('HTTP/1.1 100 Continue\r\n\r\n');
  client.send('abc');
  await client.untilText('done');
  client.socket.destroy();
});

test('events are flushed one by one, and a client that leaves resets the channel', async () => {
  let push = (_text: string): void => {};
  await using app = await nodeApp((_req, res) => {
    res.writeHead(200, { 'Content-Type': 'text/event-stream' });
    push = (text) => res.write(`data: ${text}\n\n`);
    push('1');
  });
  await using gate = await harness({ port: app.port });
  const client = new RawClient(gate.port);
  client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await client.untilText('data: 1');
  push('2');
  await client.untilText('data: 2');
  client.socket.destroy();
  // The client closed in order, which might be a half-close: it gets its grace, then the channel ends.
  await waitUntil(() => gate.router.channels.size === 0 && gate.gateway.connections === 0);
});

test('HTTP/1.0: chunked is decoded and ended by closing; keep-alive works with a length', async () => {
  await using app = await nodeApp((req, res) => {
    if (req.url === '/length') res.setHeader('Content-Length', 2);
    else res.write('a');
    res.end(req.url === '/length' ? 'ok' : 'b');
  });
  await using gate = await harness({ port: app.port });
  const client = new RawClient(gate.port);
  client.send('GET /length HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n');
  assert.match(await client.untilText('\r\n\r\nok'), /Connection: keep-alive/);
  client.text = '';
  client.send('GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n');
  const text = await client.untilEnd();
  assert.match(text, /Connection: close\r\n\r\nab$/);
  assert.doesNotMatch(text, /chunked/i);
  client.socket.destroy();
});

test('a body ended by closing is chunked for the client; one that breaks off is not completed', async () => {
  await using app = await upstream((socket) => {
    socket.once('data', (chunk) => {
      const bad = chunk.toString().includes('/bad');
      socket.write('HTTP/1.1 200 OK\r\n\r\nabc');
      if (bad) setImmediate(() => socket.resetAndDestroy());
      else socket.end();
    });
  });
  await using gate = await harness({ port: app.port });
  const client = new RawClient(gate.port);
  client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  assert.match(await client.untilText('0\r\n\r\n'), /chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n$/);
  client.send('GET /bad HTTP/1.1\r\nHost: a\r\n\r\n');
  client.text = '';
  const text = await client.untilEnd();
  assert.doesNotMatch(text, /0\r\n\r\n$/);
  client.socket.destroy();
});

test('a WebSocket-like upgrade becomes a raw pipe with half-close both ways', async () => {
  await using app = await upstream((socket) => {
    let upgraded = false;
    socket.on('data', (chunk) => {
      if (upgraded) {
        socket.write(chunk);
        return;
      }
      const text = chunk.toString('latin1');
      assert.match(text, /\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\n/);
      upgraded = true;
      socket.write(
        'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nhello',
      );
    });
    socket.on('end', () => socket.end('bye'));
  });
  await using gate = await harness({ port: app.port });
  const client = new RawClient(gate.port);
  client.send(
    'GET /ws HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\r\n',
  );
  const head = await client.untilText('hello');
  assert.match(
    head,
    /^HTTP\/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello$/,
  );
  assert.equal(gate.router.opened[0]?.traffic, 'interactive');
  client.send('ping');
  await client.untilText('ping');
  client.socket.end();
  assert.match(await client.untilEnd(), /bye$/);
  await waitUntil(() => gate.router.channels.size === 0);
});

test('the response may begin, and end, before the request does', async () => {
  await using app = await upstream((socket) => {
    let all = '';
    let answered = false;
    socket.on('data', (chunk) => {
      all += chunk.toString('latin1');
      if (!answered && all.includes('\r\n\r\n')) {
        answered = true;
        socket.write(OK);
      }
      if (all.includes('GET /next'))
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext');
    });
  });
  await using gate = await harness({ port: app.port });
  const client = new RawClient(gate.port);
  client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc');
  await client.untilText('ok');
  client.send('def');
  client.send('GET /next HTTP/1.1\r\nHost: a\r\n\r\n');
  await client.untilText('next');
  assert.equal(gate.router.opened.length, 1, 'the connection was used again after the late body');
  client.socket.destroy();
});

test('10 MB each way arrive byte for byte, with bounded memory behind a slow reader', async () => {
  const bytes = randomBytes(10 << 20);
  const sum = createHash('sha256').update(bytes).digest('hex');
  await using app = await nodeApp((req, res) => void req.pipe(res));
  await using gate = await harness({ port: app.port });
  const req = request({ port: gate.port, method: 'POST', headers: { Host: 'a' } });
  req.end(bytes);
  const [res] = (await once(req, 'response')) as [import('node:http').IncomingMessage];
  // Long enough for everything that has room somewhere to have filled it.
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setTimeout(resolve, 5));
  const hash = createHash('sha256');
  for await (const chunk of res) hash.update(chunk as Buffer);
  assert.equal(hash.digest('hex'), sum);
  const channel = gate.router.opened[0];
  assert.ok(channel !== undefined && channel.maxOwed < 512 * 1024, `owed ${channel?.maxOwed}`);
});

test('an idle connection closed by the app at the same moment: a GET is sent again, a POST is not', async () => {
  let connections = 0;
  await using app = await upstream((socket) => {
    const mine = ++connections;
    let n = 0;
    socket.on('data', () => {
      n++;
      if (mine % 2 === 1 && n === 2) socket.destroy();
      else socket.write(OK);
    });
  });
  await using gate = await harness({ port: app.port });
  const client = new RawClient(gate.port);
  client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await client.untilText('ok');
  client.text = '';
  client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  assert.match(await client.untilText('ok'), /200 OK/);
  assert.equal(connections, 2);
  const other = new RawClient(gate.port);
  // The second connection is healthy; take it, so that a third is opened.
  await waitUntil(() => gate.gateway.idleUpstreams === 1);
  gate.router.opened[1]?.socket.destroy();
  await waitUntil(() => gate.gateway.idleUpstreams === 0);
  other.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await other.untilText('ok');
  other.text = '';
  other.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n');
  assert.match(await other.untilText('\r\n\r\n'), /^HTTP\/1.1 50[23]/);
  assert.equal(connections, 3);
  client.socket.destroy();
  other.socket.destroy();
});

test('a POST never uses a connection that was idle for over a second', async () => {
  let time = 1_000_000;
  await using app = await scripted(() => OK);
  await using gate = await harness({ port: app.port, now: () => time });
  const client = new RawClient(gate.port);
  client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await client.untilText('ok');
  time += 1_001;
  client.text = '';
  client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n');
  await client.untilText('ok');
  assert.equal(gate.router.opened.length, 2);
  client.socket.destroy();
});

test('nothing listens: the policy words the failure', async () => {
  await using gate = await harness({ port: 1 });
  const client = new RawClient(gate.port);
  client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  const text = await client.untilText('Nothing listens on port 1.');
  assert.match(text, /^HTTP\/1.1 503 .*X-Error: nothing-listens/s);
  assert.deepEqual(gate.outcomes, [['failed', 503]]);
  client.socket.destroy();
});

test('an agent without a link is waited for, and then told apart', async () => {
  await using app = await scripted(() => OK);
  await using gate = await harness({ port: app.port, limits: { waitForAgentMs: 100 } });
  gate.router.linked = false;
  const client = new RawClient(gate.port);
  client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await waitUntil(() => gate.heads.length === 1);
  gate.router.link();
  await client.untilText('ok');
  gate.router.linked = false;
  gate.router.opened[0]?.socket.destroy();
  await waitUntil(() => gate.gateway.idleUpstreams === 0);
  client.text = '';
  client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await client.untilText('X-Error: agent-disconnected');
  client.socket.destroy();
});

test('responses that could be read in two ways are a 502', async () => {
  const bad = [
    'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc',
    'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n',
    'HTTP/1.1 200 OK\nContent-Length: 0\n\n',
    'HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n',
    'HTTP/1.1 200 OK\r\nX : a\r\n\r\n',
    'HTTP/1.1 99 OK\r\n\r\n',
    'HTTP/2 200\r\n\r\n',
    'HTTP/1.1 101 Switching Protocols\r\n\r\n',
    'SSH-2.0-OpenSSH\r\n\r\n',
  ];
  let next = '';
  await using app = await scripted(() => next);
  await using gate = await harness({ port: app.port });
  for (const text of bad) {
    next = text;
    const client = new RawClient(gate.port);
    client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    assert.match(await client.untilText('\r\n\r\n'), /^HTTP\/1.1 502 /, text);
    client.socket.destroy();
  }
  await waitUntil(() => gate.router.channels.size === 0);
});

test('slow heads get 408, silent connections are closed', async () => {
  let time = 0;
  await using app = await scripted(() => OK);
  await using gate = await harness({
    port: app.port,
    limits: { headTimeoutMs: 1000 },
    now: () => time,
  });
  const slow = new RawClient(gate.port);
  // The start of the second head comes with the first, so it has arrived once that is answered.
  slow.send('GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHo');
  const silent = new RawClient(gate.port);
  await slow.untilText('ok');
  await waitUntil(() => gate.gateway.connections === 2);
  time = 2000;
  assert.match(await slow.untilEnd(), /HTTP\/1.1 408 /);
  assert.equal(await silent.untilEnd(), '');
  slow.socket.destroy();
  silent.socket.destroy();
});

test('a client that stops in the middle of an upload gets 408; streams and slow apps may be silent', async () => {
  let time = 0;
  await using app = await upstream((socket) => {
    socket.on('data', (chunk) => {
      if (chunk.includes('/early')) {
        socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n');
      }
    });
  });
  await using gate = await harness({
    port: app.port,
    now: () => time,
    limits: { bodyIdleMs: 60_000 },
  });
  const send = (text: string): RawClient => new RawClient(gate.port).send(text);
  const stuck = send('POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345');
  const chunked = send(
    'POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n',
  );
  const moving = send('POST /c HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n1');
  const complete = send('POST /d HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok');
  const early = send('POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n1');
  await early.untilText('hi');
  await waitUntil(() => gate.router.opened.length === 5);
  const ticks = async (): Promise<void> => {
    // Two rounds of the gateway's own timer.
    await new Promise((resolve) => setTimeout(resolve, 1_100));
  };
  time = 1_000;
  await ticks();
  moving.send('2');
  time = 50_000;
  await ticks();
  time = 62_000;
  await ticks();
  assert.match(await stuck.untilEnd(), /^HTTP\/1.1 408 [^]*body did not arrive/);
  assert.match(await chunked.untilEnd(), /^HTTP\/1.1 408 /);
  assert.deepEqual([moving.ended, complete.ended, early.ended], [false, false, false]);
  await waitUntil(() => gate.router.channels.size === 3);
  for (const client of [stuck, chunked, moving, complete, early]) client.socket.destroy();
});

test('an upgrade that was refused leaves no connection behind', async () => {
  await using app = await scripted(() => OK);
  await using gate = await harness({ port: app.port, now: () => 0 });
  const client = new RawClient(gate.port);
  client.send('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
  await client.untilText('ok');
  await waitUntil(() => gate.router.channels.size === 0);
  assert.equal(gate.gateway.idleUpstreams, 0);
  client.text = '';
  client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await client.untilText('ok');
  assert.equal(gate.router.opened.length, 2);
  client.socket.destroy();
});

test('cookies for a wider domain and for our own names are dropped, others pass', async () => {
  await using app = await scripted(
    () =>
      'HTTP/1.1 200 OK\r\nSet-Cookie: a=1; Domain=test\r\nSet-Cookie: b=2; Path=/\r\nSet-Cookie: c=3; domain=.app.test\r\n' +
      'Set-Cookie: burrow_app=x\r\nSet-Cookie: =burrow_app=x\r\nSet-Cookie: = __Host-burrow_nonce=x; Path=/\r\n' +
      'Set-Cookie: burrow_session; Path=/\r\nSet-Cookie: =other=burrow_app\r\nAccess-Control-Allow-Origin: *\r\nLocation: http://localhost:1/\r\nContent-Length: 0\r\n\r\n',
  );
  await using gate = await harness({
    port: app.port,
    responseHeaders: ['Access-Control-Allow-Origin', 'https://x.test'],
  });
  const client = new RawClient(gate.port);
  client.send('GET / HTTP/1.1\r\nHost: app.test:80\r\n\r\n');
  assert.equal(
    await client.untilText('\r\n\r\n'),
    'HTTP/1.1 200 OK\r\nSet-Cookie: b=2; Path=/\r\nSet-Cookie: c=3; domain=.app.test\r\n' +
      'Set-Cookie: =other=burrow_app\r\nLocation: http://localhost:1/\r\nContent-Length: 0\r\nAccess-Control-Allow-Origin: https://x.test\r\n\r\n',
  );
  client.socket.destroy();
});

test('our own cookies never reach the app, by any of their names', async () => {
  let seen = '';
  await using app = await scripted((head) => {
    seen = head;
    return OK;
  });
  await using gate = await harness({ port: app.port });
  const ours = ['', '__Host-', '__Secure-'].flatMap((prefix) =>
    ['session', 'app', 'nonce'].map((kind) => `${prefix}burrow_${kind}=secret`),
  );
  const client = new RawClient(gate.port);
  client.send(`GET / HTTP/1.1\r\nHost: a\r\nCookie: a=1; ${ours.join('; ')}; b=2\r\n\r\n`);
  await client.untilText('ok');
  assert.match(seen, /\r\nCookie: a=1; b=2\r\n/);
  assert.doesNotMatch(seen, /secret/);
  client.socket.destroy();
});

test("Vary: Origin joins the app's own Vary instead of replacing it", async () => {
  const cases: [string, string][] = [
    ['', 'Vary: Origin\r\n'],
    ['Vary: Accept-Encoding\r\n', 'Vary: Accept-Encoding, Origin\r\n'],
    ['Vary: A\r\nX: y\r\nvary: B\r\n', 'Vary: A\r\nX: y\r\nvary: B, Origin\r\n'],
    ['Vary: accept, origin\r\n', 'Vary: accept, origin\r\n'],
    ['Vary: *\r\n', 'Vary: *\r\n'],
  ];
  let fields = '';
  await using app = await scripted(() => `HTTP/1.1 200 OK\r\n${fields}Content-Length: 2\r\n\r\nok`);
  await using gate = await harness({ port: app.port, responseHeaders: ['Vary', 'Origin'] });
  for (const [sent, expected] of cases) {
    fields = sent;
    const client = new RawClient(gate.port).send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    const text = await client.untilText('\r\n\r\nok');
    assert.equal(
      text.replace('HTTP/1.1 200 OK\r\n', '').replace('Content-Length: 2\r\n', ''),
      `${expected}\r\nok`,
    );
    client.socket.destroy();
  }
});

test("host 'localhost': Host, Origin and Referer are the app's own, Location the public one", async () => {
  let seen = '';
  await using app = await scripted((head) => {
    seen = head;
    return `HTTP/1.1 302 Found\r\nLocation: http://localhost:${app.port}/x\r\nContent-Length: 0\r\n\r\n`;
  });
  await using gate = await harness({ port: app.port, policy: { host: 'localhost' } });
  const client = new RawClient(gate.port);
  client.send(
    'GET / HTTP/1.1\r\nHost: w.test:8\r\nOrigin: http://w.test:8\r\nReferer: http://w.test:8/p\r\n\r\n',
  );
  assert.match(await client.untilText('\r\n\r\n'), /Location: http:\/\/w\.test:8\/x\r\n/);
  assert.match(
    seen,
    new RegExp(
      `Host: localhost:${app.port}\r\nOrigin: http://localhost:${app.port}\r\nReferer: http://localhost:${app.port}/p\r\n`,
    ),
  );
  assert.match(seen, /X-Forwarded-Host: w\.test:8\r\n/);
  client.socket.destroy();
});

test('a thousand clients that leave at once leave no channel and no socket', async () => {
  await using app = await nodeApp((_req, res) => {
    res.write('partial');
  });
  await using gate = await harness({ port: app.port, limits: { halfCloseGraceMs: 50 } });
  for (let round = 0; round < 4; round++) {
    const clients = Array.from({ length: 250 }, (_, i) => {
      const client = new RawClient(gate.port);
      client.send(
        i % 3 === 0
          ? 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc'
          : 'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
      );
      return client;
    });
    await Promise.all(
      clients.map((client, i) => (i % 2 === 0 ? client.untilText('partial') : Promise.resolve(''))),
    );
    for (const [i, client] of clients.entries()) {
      if (i % 5 === 0) client.socket.resetAndDestroy();
      else client.socket.destroy();
    }
  }
  await waitUntil(() => gate.router.channels.size === 0 && gate.gateway.connections === 0);
});

test('an answer that a drain cuts, which has no words for it, is named in the log', async () => {
  await using app = await nodeApp((_req, res) => void res.write('some'));
  await using gate = await harness({ port: app.port });
  const client = new RawClient(gate.port).send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await client.untilText('some');
  await gate.gateway.drain(50);
  await client.untilEnd();
  const cut = gate.logged
    .filter(({ message }) => message === 'a request is cut')
    .map(({ fields }) => fields as Record<string, string>);
  assert.deepEqual(
    cut.map(({ host, reason }) => ({ host, reason })),
    [{ host: 'a', reason: 'The relay is stopping.' }],
  );
  assert.ok(cut[0]!['request'] && cut[0]!['channel']);
});

test('draining finishes what runs, says close, and cuts what does not end', async () => {
  let finish = (): void => {};
  await using app = await nodeApp((_req, res) => {
    finish = () => res.end('finished');
  });
  await using gate = await harness({ port: app.port });
  const idle = new RawClient(gate.port);
  await waitUntil(() => gate.gateway.connections === 1);
  const busy = new RawClient(gate.port).send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await waitUntil(() => gate.heads.length === 1);
  const drained = gate.gateway.drain(4000);
  await idle.untilEnd();
  idle.socket.end();
  finish();
  assert.match(await busy.untilEnd(), /Connection: close\r\n.*finished/s);
  busy.socket.end();
  await drained;
  assert.equal(gate.gateway.connections, 0);
});
