import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { loadConfig } from './config/load.ts';
import { createLogger } from './observe/logger.ts';
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
    flags: { dataDir, 'listen.port': 0, 'drain.graceMs': 0, ...flags },
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

test('stopping twice is harmless, and the same folder boots again', async (t) => {
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
    flags: { dataDir, 'listen.port': first.port, 'log.level': 'silent' },
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
