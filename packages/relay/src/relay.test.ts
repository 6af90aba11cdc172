import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import http2 from 'node:http2';
import { connect as tcpConnect, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { TunnelError } from '@burrow/tunnel';
import { CONNECT_PATH, dialGrpc } from '@burrow/tunnel/grpc';
import { dialWebSocket, SUBPROTOCOL } from '@burrow/tunnel/websocket';
import { loadConfig } from './config/load.ts';
import { createLogger } from './observe/logger.ts';
import { dialler } from './links/testing.ts';
import { createRelay, type Relay } from './relay.ts';

interface Booted {
  readonly relay: Relay;
  readonly lines: string[];
  readonly get: (
    path: string,
    headers?: Record<string, string>,
    method?: string,
    body?: unknown,
  ) => Promise<Answer>;
}

interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly text: string;
}

async function boot(t: TestContext, flags: Record<string, unknown> = {}): Promise<Booted> {
  const dataDir = mkdtempSync(join(tmpdir(), 'burrow-relay-'));
  const lines: string[] = [];
  const { config } = loadConfig({
    flags: { dataDir, 'listen.port': 0, 'ssh.enabled': false, 'drain.graceMs': 0, ...flags },
  });
  const relay = await createRelay(config, {
    logger: createLogger({
      level: 'debug',
      pretty: 'never',
      destination: { write: (line) => lines.push(line) },
    }),
  });
  t.after(async () => {
    await relay.stop(0);
    rmSync(dataDir, { recursive: true, force: true });
  });
  await relay.start();
  const get: Booted['get'] = (path, headers = {}, method = 'GET', body?: unknown) =>
    new Promise((resolve, reject) => {
      const json = body === undefined ? undefined : JSON.stringify(body);
      const request = http.request(
        {
          host: '127.0.0.1',
          port: relay.port,
          path,
          method,
          agent: false,
          headers: {
            host: `localhost:${relay.port}`,
            ...(json === undefined ? {} : { 'content-type': 'application/json' }),
            ...headers,
          },
        },
        (response) => {
          let text = '';
          response.setEncoding('utf8');
          response.on('data', (chunk) => (text += chunk));
          response.on('end', () =>
            resolve({ status: response.statusCode ?? 0, headers: response.headers, text }),
          );
        },
      );
      request.on('error', reject);
      request.end(json);
    });
  return { relay, lines, get };
}

test('boots on a free port, and says that it lives and is ready', async (t) => {
  const { relay, get } = await boot(t);
  assert.equal(relay.url.origin, `http://localhost:${relay.port}`);
  assert.deepEqual(JSON.parse((await get('/healthz')).text), { status: 'ok' });
  const ready = await get('/readyz');
  assert.equal(ready.status, 200);
  assert.deepEqual(JSON.parse(ready.text).parts, { relay: 'ready', database: 'ok', links: '0' });
});

test('a hand-over is only for an authority as browsers write it', async (t) => {
  const { relay, get } = await boot(t);
  const ask = async (host: string, ours: string): Promise<number> => {
    const query = new URLSearchParams({ host, challenge: 'c'.repeat(43) });
    return (await get(`/sign-in/hand-over?${query.toString()}`, { host: ours })).status;
  };
  const signIn = 303;
  assert.equal(await ask(`demo.localhost:${relay.port}`, `localhost:${relay.port}`), signIn);
  assert.equal(await ask('demo.localhost', 'localhost'), signIn);
  // Browsers leave the default port out: a session for this spelling would never be used, or be another's.
  assert.equal(await ask('demo.localhost:80', 'localhost:80'), 400);
  assert.equal(await ask('demo.localhost:080', 'localhost:080'), 421);
});

test('metrics are there for a loopback peer', async (t) => {
  const { get } = await boot(t);
  const { status, text } = await get('/metrics');
  assert.equal(status, 200);
  for (const name of [
    'burrow_links 0',
    'burrow_channels 0',
    'burrow_database_healthy 1',
    'burrow_process_resident_memory_bytes',
  ]) {
    assert.ok(text.includes(name), name);
  }
});

test('with a metrics token only the token opens them', async (t) => {
  const { get } = await boot(t, { 'metrics.token': 'a-token-of-enough-length' });
  assert.equal((await get('/metrics')).status, 401);
  assert.equal((await get('/metrics', { authorization: 'Bearer wrong' })).status, 401);
  assert.equal(
    (await get('/metrics', { authorization: 'Bearer a-token-of-enough-length' })).status,
    200,
  );
});

test('the API asks who is there, and serves whoever has a token', async (t) => {
  const { relay, get, lines } = await boot(t);
  assert.equal((await get('/api/v1/workspaces')).status, 401);
  const admin = await relay.auth.users.ensureLocalAdmin();
  const { token } = await relay.auth.tokens.create(admin.userId, 'test');
  const authorization = `Bearer ${token}`;
  const made = await get('/api/v1/workspaces', { authorization }, 'POST', {
    name: 'demo',
    driver: 'external',
  });
  assert.equal(made.status, 201, made.text);
  const { environment } = JSON.parse(made.text);
  assert.equal(environment.BURROW_RELAY_URL, `http://localhost:${relay.port}`);
  assert.match(environment.BURROW_AGENT_TOKEN, /^burrow_agt_[\w-]{43}$/);
  const list = JSON.parse((await get('/api/v1/workspaces', { authorization })).text);
  assert.deepEqual(
    list.workspaces.map((workspace: { name: string }) => workspace.name),
    ['demo'],
  );
  assert.ok(
    !lines.join('').includes(token) && !lines.join('').includes(environment.BURROW_AGENT_TOKEN),
  );
});

test('agents elsewhere are told the URL that is configured for them', async (t) => {
  const { relay, get } = await boot(t, { agentUrl: 'http://relay.internal:81' });
  const admin = await relay.auth.users.ensureLocalAdmin();
  const { token } = await relay.auth.tokens.create(admin.userId, 'test');
  const body = { name: 'demo', driver: 'external' };
  const made = await get('/api/v1/workspaces', { authorization: `Bearer ${token}` }, 'POST', body);
  const { environment } = JSON.parse(made.text) as { environment: Record<string, string> };
  assert.equal(environment['BURROW_RELAY_URL'], 'http://relay.internal:81');
});

test('behind a trusted proxy, sign-ins are counted by the address that the proxy saw', async (t) => {
  const { get } = await boot(t, { 'listen.trustedProxies': ['loopback'] });
  const code = 'x'.repeat(43);
  const attempt = async (forwardedFor: string): Promise<number> =>
    (await get(`/sign-in?code=${code}`, { 'x-forwarded-for': forwardedFor })).status;
  for (let i = 0; i < 10; i++) {
    // What a client writes itself stands to the left of what the proxy appends, with or without a port.
    assert.equal(await attempt(`198.51.100.${i}, 203.0.113.7:${40_000 + i}`), 401);
  }
  assert.equal(await attempt('198.51.100.99, 203.0.113.7:50000'), 429);
  assert.equal(await attempt('203.0.113.7, 127.0.0.2'), 429, 'through a second trusted proxy');
  assert.equal(await attempt('203.0.113.8'), 401, 'somebody else');
});

test('a sign-in link signs in once', async (t) => {
  const { relay, get, lines } = await boot(t);
  const admin = await relay.auth.users.ensureLocalAdmin();
  const { code } = await relay.auth.signInLinks.create({ userId: admin.userId });
  const first = await get(`/sign-in?code=${code}`);
  assert.equal(first.status, 303);
  const cookie = first.headers['set-cookie']?.[0] ?? '';
  assert.match(cookie, /^burrow_session=.*HttpOnly.*SameSite=Lax/i);
  const home = await get('/', { cookie: cookie.split(';')[0] ?? '' });
  assert.equal(home.status, 200);
  assert.equal((await get(`/sign-in?code=${code}`)).status, 401);
  assert.ok(!lines.join('').includes(code));
});

test('stopping twice is harmless', async (t) => {
  const { relay } = await boot(t);
  await Promise.all([relay.stop(0), relay.stop(0)]);
  await relay.stop();
  assert.equal(relay.readiness().ready, false);
});

test('a start that fails leaves nothing behind', async (t) => {
  const { relay: first } = await boot(t);
  const dataDir = mkdtempSync(join(tmpdir(), 'burrow-relay-'));
  t.after(() => rmSync(dataDir, { recursive: true, force: true }));
  const { config } = loadConfig({
    flags: { dataDir, 'listen.port': first.port, 'ssh.enabled': false, 'log.level': 'silent' },
  });
  const second = await createRelay(config);
  await assert.rejects(second.start(), /another process uses this port/);
  // The lock of the data folder is free again.
  const third = await createRelay({ ...config, listen: { ...config.listen, port: 0 } });
  await third.start();
  await third.stop(0);
});

test('a relay on a locked data folder says so', async (t) => {
  const { relay } = await boot(t);
  const { config } = loadConfig({
    flags: { dataDir: relay.dataDir, 'listen.port': 0, 'log.level': 'silent' },
  });
  await assert.rejects(createRelay(config), /lock|another|in use/i);
});

const AGENT = fileURLToPath(new URL('../../agent/src/main.ts', import.meta.url));

/** A workspace with a real agent's process and one app beside it. */
async function bootWithApp(t: TestContext, transport: 'grpc' | 'websocket') {
  const booted = await boot(t);
  const { relay, get } = booted;
  const slow: http.ServerResponse[] = [];
  const app = http.createServer((request, response) => {
    response.setHeader('x-app', 'yes');
    if (request.url === '/slow') return void slow.push(response);
    if (request.url === '/cut') return void request.socket.destroy();
    const ours = String(request.headers['burrow-authorization'] ?? 'clean');
    response.end(`${request.method} ${request.url} ${ours}`);
  });
  app.listen(0, '127.0.0.1');
  await once(app, 'listening');
  t.after(() => app.close());
  const { port } = app.address() as AddressInfo;

  const admin = await relay.auth.users.ensureLocalAdmin();
  const { token } = await relay.auth.tokens.create(admin.userId, 'test');
  const authorization = `Bearer ${token}`;
  const made = await get('/api/v1/workspaces', { authorization }, 'POST', {
    name: 'demo',
    driver: 'external',
  });
  const { environment } = JSON.parse(made.text) as { environment: Record<string, string> };
  const agent = spawn(process.execPath, [AGENT], {
    // Node's own lookup does not know that localhost may be this address only.
    env: {
      ...environment,
      BURROW_RELAY_URL: `http://127.0.0.1:${relay.port}`,
      BURROW_AGENT_TRANSPORT: transport,
      BURROW_AGENT_LOG_LEVEL: 'debug',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  agent.stdout.on('data', (chunk) => (output += chunk));
  agent.stderr.on('data', (chunk) => (output += chunk));
  const exited = once(agent, 'exit') as Promise<[number | null, string | null]>;
  t.after(async () => {
    agent.kill('SIGKILL');
    await exited;
  });
  const host = `${port}-demo.localhost:${relay.port}`;
  const ask = (path: string) => get(path, { host, 'burrow-authorization': authorization });
  return { ...booted, ask, slow, authorization, exited, output: () => output };
}

for (const transport of ['grpc', 'websocket'] as const) {
  test(`through the tunnel (${transport}): a request reaches the app, and a terminated workspace is cut off`, async (t) => {
    const { relay, get, ask, authorization, exited, output } = await bootWithApp(t, transport);
    const answer = await ask('/path?query=%20');
    assert.equal(answer.status, 200, `${answer.text}\n${output()}`);
    assert.equal(answer.text, 'GET /path?query=%20 clean');
    assert.equal(answer.headers['x-app'], 'yes');
    assert.match((await get('/metrics')).text, /^burrow_http_requests_total\{outcome="app"\} 1$/m);
    const shown = JSON.parse((await get('/api/v1/workspaces/demo', { authorization })).text) as {
      state: string;
    };
    assert.equal(shown.state, 'running');

    const deleted = await get('/api/v1/workspaces/demo', { authorization }, 'DELETE');
    assert.equal(deleted.status, 204);
    const from = performance.now();
    while (relay.readiness().parts['links'] !== '0') {
      assert.ok(performance.now() - from < 1_000, 'links live on');
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    const [code] = await exited;
    assert.equal(code, 4, output());
    assert.equal((await ask('/')).status, 404);
  });
}

test('what the tunnel adds before a first byte is measured, and a failure names its channel in both logs', async (t) => {
  const { get, ask, lines, output } = await bootWithApp(t, 'grpc');
  assert.equal((await ask('/')).status, 200);
  assert.match((await get('/metrics')).text, /^burrow_channel_open_seconds_count 1$/m);
  assert.equal((await ask('/cut')).status, 502);
  const logged = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  const failed = logged.find(({ msg }) => msg === 'request failed');
  assert.match(String(failed?.['channel']), /^[0-9a-f]{32}$/);
  const request = logged.find(({ msg, path }) => msg === 'request' && path === '/cut');
  assert.equal(request?.['channel'], failed?.['channel']);
  const seen = output()
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.ok(
    seen.some(({ event, channel }) => event === 'channel' && channel === failed?.['channel']),
  );
  // The control host is in this process: no channel leads there.
  assert.ok(logged.every(({ path, channel }) => path !== '/metrics' || channel === undefined));
});

test('a relay that stops lets a running request finish, and takes no new connection', async (t) => {
  const { relay, ask, slow, get } = await bootWithApp(t, 'grpc');
  const asked = ask('/slow');
  while (slow.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  const stopped = relay.stop(20_000);
  assert.equal(relay.readiness().ready, false);
  await assert.rejects(get('/healthz'), /ECONNREFUSED/);
  slow[0]?.end('at last');
  assert.equal((await asked).text, 'at last');
  await stopped;
});

test('a second stop in a hurry cuts what the first waits for', async (t) => {
  const { relay, ask, slow } = await bootWithApp(t, 'grpc');
  const asked = assert.rejects(ask('/slow'));
  while (slow.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  const stopped = relay.stop(600_000);
  await relay.stop(0);
  await Promise.all([asked, stopped]);
});

test('with TLS: HTTP/2 for the control host and gRPC on one port, by ALPN', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'burrow-tls-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const [certFile, keyFile] = [join(folder, 'tls.crt'), join(folder, 'tls.key')];
  execFileSync(
    'openssl',
    [
      ...[
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:prime256v1',
        '-nodes',
        '-days',
        '2',
      ],
      ...['-keyout', keyFile, '-out', certFile, '-subj', '/CN=burrow.test'],
      ...['-addext', 'subjectAltName=DNS:burrow.test,DNS:*.burrow.test'],
    ],
    { stdio: 'ignore' },
  );
  const { relay } = await boot(t, {
    domain: 'burrow.test',
    'listen.tls.certFile': certFile,
    'listen.tls.keyFile': keyFile,
  });
  assert.equal(relay.url.origin, `https://burrow.test:${relay.port}`);
  const session = http2.connect(relay.url, {
    ca: readFileSync(certFile),
    host: '127.0.0.1',
    lookup: (_name, _options, done) =>
      done(null, [{ address: '127.0.0.1', family: 4 }] as never, 4),
  });
  t.after(() => session.destroy());
  const ask = async (headers: http2.OutgoingHttpHeaders, body?: Buffer) => {
    const stream = session.request(headers);
    stream.end(body);
    const [response] = (await once(stream, 'response')) as [
      http2.IncomingHttpHeaders & { ':status'?: number },
    ];
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk as Buffer);
    return { status: response[':status'], headers: response, body: Buffer.concat(chunks) };
  };
  assert.deepEqual(JSON.parse((await ask({ ':path': '/healthz' })).body.toString()), {
    status: 'ok',
  });
  assert.equal((await ask({ ':path': '/', ':authority': 'nobody.example' })).status, 421);
  const grpc = { ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers' };
  const health = await ask({ ...grpc, ':path': '/grpc.health.v1.Health/Check' }, Buffer.alloc(5));
  assert.deepEqual([...health.body], [0, 0, 0, 0, 2, 8, 1]);
  // On an app's host the same path is the app's: here nobody is signed in.
  const app = await ask(
    { ...grpc, ':path': '/grpc.health.v1.Health/Check', ':authority': 'demo.burrow.test' },
    Buffer.alloc(5),
  );
  assert.equal(app.status, 401);
});

for (const [name, dial] of [
  ['gRPC', dialGrpc],
  ['WebSocket', dialWebSocket],
] as const) {
  test(`${name}: without TLS a link is taken under loopback names alone, unless that is allowed`, async (t) => {
    const token = `burrow_agt_${'x'.repeat(43)}`;
    const knock = async (host: string, { relay }: Booted): Promise<TunnelError> => {
      const agent = dialler(new URL(`http://${host}:${relay.port}`), token);
      const connect = async () => tcpConnect(relay.port, '127.0.0.1');
      return dial({ ...agent.options, connect }).then(
        () => assert.fail('an unknown token was taken'),
        (error: TunnelError) => error,
      );
    };
    const strict = await boot(t, { domain: 'burrow.test' });
    for (const host of ['localhost', '127.0.0.1'])
      assert.equal((await knock(host, strict)).code, 'token-unknown');
    for (const host of ['burrow.test', '203.0.113.9']) {
      const refused = await knock(host, strict);
      assert.equal(refused.code, 'unavailable');
      assert.match(refused.message, /without TLS under the name .*agents\.allowPlaintext/);
      assert.ok(refused.message.includes(host));
    }
    const inside = await boot(t, {
      domain: 'burrow.test',
      agentUrl: 'http://relay.burrow.svc:81',
      'agents.allowPlaintext': true,
    });
    for (const host of ['burrow.test', 'relay.burrow.svc'])
      assert.equal((await knock(host, inside)).code, 'token-unknown');
  });
}

test('behind a balancer that says https, links in plain text are taken, and their client is logged', async (t) => {
  const { relay, lines } = await boot(t, {
    domain: 'burrow.test',
    'listen.trustedProxies': ['loopback'],
  });
  const forwarded = {
    'x-forwarded-for': '198.51.100.1, 203.0.113.5',
    'x-forwarded-proto': 'https',
  };
  const session = http2.connect(`http://127.0.0.1:${relay.port}`);
  t.after(() => session.destroy());
  const call = async (authority: string, headers: http2.OutgoingHttpHeaders) => {
    const stream = session.request({
      ':method': 'POST',
      ':path': CONNECT_PATH,
      ':authority': authority,
      'content-type': 'application/grpc',
      ...headers,
    });
    stream.end();
    const [answer] = (await once(stream, 'response')) as [
      http2.IncomingHttpHeaders & { ':status'?: number },
    ];
    stream.resume();
    return answer;
  };
  // No token: whoever is told so was let in that far.
  assert.equal((await call('burrow.test', forwarded))['burrow-error-code'], 'token-malformed');
  assert.equal((await call('burrow.test', {}))['burrow-error-code'], 'unavailable');
  assert.equal((await call('nobody.example', forwarded))[':status'], 421);

  const request = http.request({
    host: '127.0.0.1',
    port: relay.port,
    path: CONNECT_PATH,
    headers: {
      host: 'burrow.test',
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-protocol': SUBPROTOCOL,
      ...forwarded,
    },
  });
  request.end();
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  response.resume();
  assert.equal(response.headers['burrow-error-code'], 'token-malformed');
  const refused = lines
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .filter(({ msg, code }) => msg === 'link refused' && code === 'token-malformed');
  assert.deepEqual(
    refused.map(({ transport, remoteAddress }) => [transport, remoteAddress]),
    [
      ['grpc', '203.0.113.5'],
      ['websocket', '203.0.113.5'],
    ],
  );
});

test('an agent is told why its link ends when the relay stops', async (t) => {
  const { relay, get } = await boot(t);
  const admin = await relay.auth.users.ensureLocalAdmin();
  const { token } = await relay.auth.tokens.create(admin.userId, 'test');
  const body = { name: 'demo', driver: 'external' };
  const made = await get('/api/v1/workspaces', { authorization: `Bearer ${token}` }, 'POST', body);
  const { environment } = JSON.parse(made.text) as { environment: Record<string, string> };
  const url = new URL(`http://127.0.0.1:${relay.port}`);
  const agent = dialler(url, environment['BURROW_AGENT_TOKEN'] ?? '');
  await dialGrpc(agent.options);
  await relay.stop(0);
  const told = await agent.closed;
  assert.deepEqual([told.code, told.remote], ['draining', true]);
});
