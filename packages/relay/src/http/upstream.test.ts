import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createServer as createHttp2Server } from 'node:http2';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { duplexPair } from 'node:stream';
import { test } from 'node:test';
import { RawClient, harness, testRoute, upstream, waitUntil } from './test-support.ts';
import { DEFAULT_PORT_POLICY } from '../control/directory.ts';

test('an https app with a certificate of its own is reached, over kept connections', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'burrow-'));
  const file = (name: string) => join(directory, name);
  execFileSync(
    'openssl',
    [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-nodes',
      '-subj',
      '/CN=x',
      '-keyout',
      file('k'),
      '-out',
      file('c'),
    ],
    { stdio: 'ignore' },
  );
  const app = createHttpsServer({ key: readFileSync(file('k')), cert: readFileSync(file('c')) });
  rmSync(directory, { recursive: true });
  let host: string | undefined;
  app.on('request', (req, res) => {
    host = req.headers.host;
    res.end(`tls ${req.url}`);
  });
  app.listen(0, '127.0.0.1');
  await once(app, 'listening');
  const port = (app.address() as AddressInfo).port;
  {
    await using gate = await harness({ port, policy: { protocol: 'https', host: 'localhost' } });
    const client = new RawClient(gate.port).send('GET /1 HTTP/1.1\r\nHost: a\r\n\r\n');
    await client.untilText('tls /1');
    client.send('GET /2 HTTP/1.1\r\nHost: a\r\n\r\n');
    await client.untilText('tls /2');
    assert.equal(gate.router.opened.length, 1);
    assert.equal(host, `localhost:${port}`);
    client.socket.destroy();
  }
  app.close();
  app.closeAllConnections();
});

test('an app that never finishes its TLS handshake fails the request in time', async () => {
  await using silent = await upstream(() => {});
  await using gate = await harness({
    port: silent.port,
    policy: { protocol: 'https' },
    limits: { upstreamHandshakeMs: 50 },
  });
  const client = new RawClient(gate.port).send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  assert.match(await client.untilText('TLS handshake'), /X-Error: upstream-timeout/);
  await waitUntil(() => gate.router.channels.size === 0);
  client.socket.destroy();
});

test('the control server is reached in this process, with our cookies and true forwarding fields', async () => {
  const control = createHttpServer((req, res) => {
    res.setHeader('Set-Cookie', 'burrow_session=new');
    res.end(`${req.headers.cookie} ${String(req.headers['x-forwarded-for'])} ${req.headers.host}`);
  });
  await using gate = await harness({
    port: 1,
    control: () => {
      const [ours, theirs] = duplexPair();
      control.emit('connection', theirs);
      return ours;
    },
  });
  gate.decide = () => ({ kind: 'control' });
  const client = new RawClient(gate.port);
  client.send(
    'GET / HTTP/1.1\r\nHost: localhost:80\r\nCookie: burrow_session=s\r\nX-Forwarded-For: 1.1.1.1\r\n\r\n',
  );
  const text = await client.untilText('burrow_session=s 192.0.2.7 localhost:80');
  assert.match(text, /Set-Cookie: burrow_session=new\r\n/);
  client.socket.destroy();
  control.close();
});

test("a trusted proxy's word is passed on and added to; a stranger's is not", async () => {
  let seen = '';
  await using app = await upstream((socket) => {
    socket.on('data', (chunk) => {
      seen = chunk.toString('latin1');
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    });
  });
  await using gate = await harness({ port: app.port, trusted: true });
  const client = new RawClient(gate.port);
  client.send(
    'GET / HTTP/1.1\r\nHost: w.test\r\nX-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil.test\r\nForwarded: for=203.0.113.9\r\n\r\n',
  );
  await client.untilText('ok');
  assert.match(
    seen,
    /X-Forwarded-For: 203\.0\.113\.9, 192\.0\.2\.7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: w\.test\r\nX-Forwarded-Port: 443\r\n/,
  );
  assert.match(
    seen,
    /Forwarded: for=203\.0\.113\.9, for=192\.0\.2\.7;host=w\.test;proto=https\r\n/,
  );
  assert.equal(gate.heads[0]?.remoteAddress, '203.0.113.9');
  assert.equal(gate.heads[0]?.secure, true);
  assert.equal(gate.heads[0]?.authority, 'w.test');
  client.socket.destroy();
});

test('a connection opened for one user never carries the request of another', async () => {
  await using app = await upstream((socket) => {
    socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'));
  });
  await using gate = await harness({ port: app.port });
  gate.decide = (head) => {
    const user = head.get('x-user') ?? '';
    return {
      kind: 'app',
      route: testRoute(),
      port: app.port,
      policy: DEFAULT_PORT_POLICY,
      principal: { userId: user, username: user, admin: false },
    };
  };
  const client = new RawClient(gate.port);
  for (const user of ['ada', 'bob', 'ada']) {
    client.text = '';
    client.send(`GET / HTTP/1.1\r\nHost: a\r\nX-User: ${user}\r\n\r\n`);
    await client.untilText('ok');
  }
  assert.deepEqual(
    gate.router.opened.map((channel) => channel.principal.userId),
    ['ada', 'bob'],
  );
  client.socket.destroy();
});

test('a request to an h2c app that may not be repeated uses no session that was idle for over a second', async (t) => {
  let time = 0;
  let hold = false;
  const held: (() => void)[] = [];
  const app = createHttp2Server();
  app.on('stream', (stream) => {
    const finish = (): void => {
      stream.respond({ ':status': 200 });
      stream.end('ok');
    };
    if (hold) held.push(finish);
    else finish();
  });
  app.listen(0, '127.0.0.1');
  await once(app, 'listening');
  t.after(() => app.close());
  await using gate = await harness({
    port: (app.address() as AddressInfo).port,
    policy: { protocol: 'h2c' },
    now: () => time,
  });
  const clients: RawClient[] = [];
  const begin = (method: string): RawClient => {
    const client = new RawClient(gate.port);
    clients.push(client);
    return client.send(`${method} / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n`);
  };
  const ask = async (method: string): Promise<number> => {
    await begin(method).untilText('ok');
    return gate.router.opened.length;
  };
  assert.equal(await ask('POST'), 1);
  assert.equal(await ask('POST'), 1);
  time = 1_001;
  assert.equal(await ask('GET'), 1, 'a GET would be sent again');
  time = 2_002;
  assert.equal(await ask('POST'), 2);
  assert.equal(await ask('POST'), 2, 'the one just used');
  time = 3_003;
  // One that serves a request now lives.
  hold = true;
  const waits = begin('GET');
  await waitUntil(() => held.length === 1);
  hold = false;
  time = 4_004;
  assert.equal(await ask('POST'), 2);
  for (const finish of held) finish();
  await waits.untilText('ok');
  // Idle for as long as any may be: closed.
  time = 8_100;
  await waitUntil(() => gate.router.channels.size === 0);
  for (const client of clients) client.socket.destroy();
});

test('idle connections are closed after their time', async () => {
  let time = 0;
  await using app = await upstream((socket) => {
    socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'));
  });
  await using gate = await harness({ port: app.port, now: () => time });
  const client = new RawClient(gate.port).send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await client.untilText('ok');
  await waitUntil(() => gate.gateway.idleUpstreams === 1);
  time = 5_000;
  await waitUntil(() => gate.gateway.idleUpstreams === 0 && gate.router.channels.size === 0);
  client.socket.destroy();
});
