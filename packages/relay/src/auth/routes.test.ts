import assert from 'node:assert/strict';
import { test } from 'node:test';
import fastify, { type FastifyInstance } from 'fastify';
import type { WorkspaceRoute } from '../control/directory.ts';
import { RelayError } from '../errors.ts';
import { createAuth, type Auth } from './auth.ts';
import { AUTH_LIMITS } from './limits.ts';
import { authenticateRequest } from './request-auth.ts';
import { authRoutes, type AuthRoutesDeps } from './routes.ts';
import { hashSecret, newSecret } from './secrets.ts';
import { testClock, testDatabase } from './testing.ts';

const ORIGIN = 'https://burrow.test';
const DEMO = { name: 'demo', state: 'running' as const, agent: null };
const CHALLENGE = hashSecret(newSecret());

async function setUp(over: Partial<AuthRoutesDeps> = {}) {
  const clock = testClock();
  const auth = createAuth({ db: await testDatabase(), clock });
  const admin = await auth.users.ensureLocalAdmin();
  const owner = await auth.users.create('olive');
  const route: WorkspaceRoute = {
    id: 'w',
    name: 'demo',
    ownerId: owner.userId,
    agentId: 'a',
    state: 'running',
    editorPort: 60001,
    ports: new Map(),
    agentLastSeen: undefined,
  };
  const app = fastify({ trustProxy: true });
  app.setErrorHandler((error, _request, reply) =>
    reply.code(error instanceof RelayError ? 403 : 500).send({
      code: error instanceof RelayError ? error.code : String(error),
    }),
  );
  await app.register(
    authRoutes({
      auth,
      clock,
      domain: 'burrow.test',
      directory: { find: (name) => (name === 'demo' ? route : undefined) },
      workspaceOfHost: (authority) =>
        /^(?:\d+-)?([a-z]+)\.burrow\.test(?::\d+)?$/.exec(authority)?.[1],
      workspaces: () => Promise.resolve([]),
      ...over,
    }),
  );
  app.all('/who', async (request) => (await authenticateRequest(auth, request)) ?? {});
  return { app, auth, clock, admin, owner };
}

function send(
  app: FastifyInstance,
  method: 'GET' | 'POST' | 'HEAD',
  url: string,
  headers: Record<string, string> = {},
  form?: Record<string, string>,
) {
  return app.inject({
    method,
    url,
    headers: {
      'x-forwarded-proto': 'https',
      'x-forwarded-host': 'burrow.test',
      'x-forwarded-for': '192.0.2.1',
      ...(form && { 'content-type': 'application/x-www-form-urlencoded' }),
      ...headers,
    },
    ...(form && { payload: new URLSearchParams(form).toString() }),
  });
}

async function cookieOf(auth: Auth, userId: string): Promise<string> {
  return `__Host-burrow_session=${(await auth.sessions.createControl(userId)).secret}`;
}

test('a sign-in link signs in once, and leads where it says', async () => {
  const { app, auth, admin } = await setUp();
  const { code } = await auth.signInLinks.create({ userId: admin.userId, returnTo: '/x' });
  const first = await send(app, 'GET', `/sign-in?code=${code}`);
  assert.equal(first.statusCode, 303);
  assert.equal(first.headers['location'], '/x');
  assert.equal(first.headers['cache-control'], 'no-store');
  assert.equal(first.headers['referrer-policy'], 'no-referrer');
  assert.match(
    String(first.headers['set-cookie']),
    /^__Host-burrow_session=[\w-]{43}; Path=\/; Max-Age=1209600; HttpOnly; SameSite=Lax; Secure$/,
  );
  const second = await send(app, 'GET', `/sign-in?code=${code}`);
  assert.equal(second.statusCode, 401);
  assert.equal(second.headers['set-cookie'], undefined);
  assert.match(second.body, /used before/);
});

test('/open leads into a workspace of theirs, home from any other, and signs in on the way', async () => {
  const { app, auth, admin } = await setUp({
    workspaces: () => Promise.resolve([DEMO]),
  });
  const cookie = await cookieOf(auth, admin.userId);
  const to = async (path: string, headers = {}) =>
    (await send(app, 'GET', path, headers)).headers['location'];
  assert.equal(await to('/open/demo', { cookie }), 'https://demo.burrow.test/');
  assert.equal(await to('/open/other', { cookie }), '/');
  assert.equal(await to('/open/%2F%2Fevil.test', { cookie }), '/');
  assert.equal(await to('/open/demo'), '/sign-in?return=%2Fopen%2Fdemo');
});

for (const [what, headers] of [
  ['a prefetch', { 'sec-purpose': 'prefetch' }],
  ['a prerender', { 'sec-purpose': 'prefetch;prerender', 'sec-fetch-mode': 'navigate' }],
  ['an old prefetch', { purpose: 'prefetch' }],
  ['a fetch by a script', { 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty' }],
  ['a frame', { 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'iframe' }],
  ['an image', { 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'image' }],
] as const) {
  test(`${what} does not use a sign-in link up`, async () => {
    const { app, auth, admin } = await setUp();
    const { code } = await auth.signInLinks.create({ userId: admin.userId });
    const early = await send(app, 'GET', `/sign-in?code=${code}`, headers);
    assert.equal(early.headers['set-cookie'], undefined);
    const head = await send(app, 'HEAD', `/sign-in?code=${code}`);
    assert.equal(head.headers['set-cookie'], undefined);
    const person = await send(app, 'GET', `/sign-in?code=${code}`, {
      'sec-fetch-mode': 'navigate',
      'sec-fetch-dest': 'document',
    });
    assert.equal(person.statusCode, 303);
  });
}

test('a link opened again by somebody signed in leads home', async () => {
  const { app, auth, admin } = await setUp();
  const cookie = await cookieOf(auth, admin.userId);
  const again = await send(app, 'GET', `/sign-in?code=${newSecret()}`, { cookie });
  assert.equal(again.headers['location'], '/');
});

test('an access token signs in by the form of the control host', async () => {
  const { app, auth, admin } = await setUp();
  const { token } = await auth.tokens.create(admin.userId, 't');
  const form = { provider: 'local', secret: ` ${token} `, return: '/sign-in/hand-over?host=a' };
  const good = await send(app, 'POST', '/sign-in', { origin: ORIGIN }, form);
  assert.equal(good.statusCode, 303);
  assert.equal(good.headers['location'], '/sign-in/hand-over?host=a');
  assert.match(String(good.headers['set-cookie']), /^__Host-burrow_session=/);
});

for (const origin of ['https://evil.burrow.test', 'http://burrow.test', 'null', undefined]) {
  test(`the form is refused from origin ${origin}`, async () => {
    const { app, auth, admin } = await setUp();
    const { token } = await auth.tokens.create(admin.userId, 't');
    const headers = origin === undefined ? {} : { origin };
    const form = { provider: 'local', secret: token };
    const response = await send(app, 'POST', '/sign-in', headers, form);
    assert.equal(response.statusCode, 403);
    assert.equal(response.headers['set-cookie'], undefined);
  });
}

for (const bad of ['//evil.test', 'https://evil.test', '/\\evil.test', '/a\r\nSet-Cookie: x=1']) {
  test(`signing in never leads to ${JSON.stringify(bad)}`, async () => {
    const { app, auth, admin } = await setUp();
    const { token } = await auth.tokens.create(admin.userId, 't');
    const form = { provider: 'local', secret: token, return: bad };
    const response = await send(app, 'POST', '/sign-in', { origin: ORIGIN }, form);
    assert.equal(response.headers['location'], '/');
  });
}

test('failed sign-ins are limited per address; successes are not', async () => {
  const { app, auth, admin, clock } = await setUp();
  const { token } = await auth.tokens.create(admin.userId, 't');
  const attempt = (secret: string, address = '192.0.2.1') =>
    send(
      app,
      'POST',
      '/sign-in',
      { origin: ORIGIN, 'x-forwarded-for': address },
      { provider: 'local', secret },
    );
  for (let i = 0; i < 20; i += 1) assert.equal((await attempt(token)).statusCode, 303);
  for (let i = 0; i < AUTH_LIMITS.attempts; i += 1) {
    assert.equal((await attempt('burrow_pat_wrong')).statusCode, 401);
  }
  const limited = await attempt(token);
  assert.equal(limited.statusCode, 429);
  assert.equal(limited.headers['retry-after'], '30');
  assert.match(limited.body, /Try again in 30 s/);
  assert.equal((await send(app, 'GET', `/sign-in?code=${newSecret()}`)).statusCode, 429);
  assert.equal((await attempt(token, '192.0.2.2')).statusCode, 303);
  clock.advance(30_000);
  assert.equal((await attempt(token)).statusCode, 303);
});

test('failures on the way to one workspace are limited over all addresses, and keep out nobody known', async () => {
  const { app, auth, admin } = await setUp();
  const { token } = await auth.tokens.create(admin.userId, 't');
  const attempt = (secret: string, address: string, to: string) =>
    send(
      app,
      'POST',
      '/sign-in',
      { origin: ORIGIN, 'x-forwarded-for': address },
      { provider: 'local', secret, return: to },
    );
  assert.equal((await attempt(token, '192.0.2.1', '/')).statusCode, 303);
  for (let i = 0; i < AUTH_LIMITS.aimAttempts; i += 1) {
    const to = i % 2 === 0 ? '/open/demo' : handOverUrl({ host: '3000-demo.burrow.test' });
    const failed = await attempt('burrow_pat_wrong', `198.51.100.${i}`, to);
    assert.equal(failed.statusCode, 401, `attempt ${i}`);
  }
  const limited = await attempt(token, '203.0.113.1', handOverUrl());
  assert.equal(limited.statusCode, 429);
  assert.equal(limited.headers['retry-after'], '6');
  assert.match(limited.body, /to this workspace from many addresses. Try again in 6 s/);
  assert.equal((await attempt(token, '203.0.113.1', '/open/nothing')).statusCode, 303);
  const { token: fresh } = await auth.tokens.create(admin.userId, 'fresh');
  assert.equal((await attempt(fresh, '192.0.2.1', handOverUrl())).statusCode, 303, 'known');
  assert.equal((await attempt(fresh, '203.0.113.1', handOverUrl())).statusCode, 303, 'and now too');
  const cookie = await cookieOf(auth, admin.userId);
  const elsewhere = { cookie, 'x-forwarded-for': '203.0.113.9' };
  assert.equal((await send(app, 'GET', handOverUrl(), elsewhere)).statusCode, 302);
});

test('signing out needs the control host’s own page, and ends the session', async () => {
  const { app, auth, admin } = await setUp();
  const cookie = await cookieOf(auth, admin.userId);
  const forged = await send(app, 'POST', '/sign-out', { cookie, origin: 'https://a.burrow.test' });
  assert.equal(forged.statusCode, 403);
  assert.equal((await send(app, 'GET', '/', { cookie })).statusCode, 200);
  const out = await send(app, 'POST', '/sign-out', { cookie, origin: ORIGIN });
  assert.match(String(out.headers['set-cookie']), /Max-Age=0/);
  assert.equal((await send(app, 'GET', '/', { cookie })).headers['location'], '/sign-in');
});

function handOverUrl(over: Record<string, string> = {}): string {
  const query = { host: 'demo.burrow.test', return: '/x', challenge: CHALLENGE, ...over };
  return `/sign-in/hand-over?${new URLSearchParams(query).toString()}`;
}

test('a hand-over goes back to the app host with a code', async () => {
  const { app, auth, owner } = await setUp();
  const cookie = await cookieOf(auth, owner.userId);
  const response = await send(app, 'GET', handOverUrl(), { cookie });
  assert.equal(response.statusCode, 302);
  assert.match(
    String(response.headers['location']),
    /^https:\/\/demo\.burrow\.test\/\.burrow\/callback\?code=[\w-]{43}$/,
  );
  assert.equal(response.headers['cache-control'], 'no-store');
  assert.equal(response.headers['referrer-policy'], 'no-referrer');
});

test('a hand-over of somebody not signed in goes on after signing in', async () => {
  const { app, auth, owner } = await setUp();
  const asked = await send(app, 'GET', handOverUrl());
  assert.equal(asked.statusCode, 303);
  const signIn = new URL(String(asked.headers['location']), ORIGIN);
  assert.equal(signIn.pathname, '/sign-in');
  assert.equal(signIn.searchParams.get('return'), handOverUrl());
  const { token } = await auth.tokens.create(owner.userId, 't');
  const form = { provider: 'local', secret: token, return: handOverUrl() };
  const done = await send(app, 'POST', '/sign-in', { origin: ORIGIN }, form);
  assert.equal(done.headers['location'], handOverUrl());
});

for (const [what, over] of [
  ['a host of somebody else', { host: 'evil.test' }],
  ['the control host', { host: 'burrow.test' }],
  ['another port of the app host', { host: 'demo.burrow.test:9999' }],
  ['a host with credentials', { host: 'x@demo.burrow.test' }],
  ['a broken challenge', { challenge: 'x' }],
] as const) {
  test(`no code is handed to ${what}`, async () => {
    const { app, auth, owner } = await setUp();
    const cookie = await cookieOf(auth, owner.userId);
    const response = await send(app, 'GET', handOverUrl(over), { cookie });
    assert.equal(response.statusCode, 400);
    assert.equal(response.headers['location'], undefined);
  });
}

test('a workspace of somebody else and none at all look the same', async () => {
  const { app, auth } = await setUp();
  const other = await auth.users.create('mallory');
  const cookie = await cookieOf(auth, other.userId);
  const ask = async (host: string) => {
    const response = await send(app, 'GET', handOverUrl({ host }), { cookie });
    const body = response.body.replaceAll(host, 'HOST').replaceAll(/nonce="[^"]+"/g, '');
    return [response.statusCode, body];
  };
  assert.deepEqual(await ask('demo.burrow.test'), await ask('none.burrow.test'));
});

test('pages run no script, are framed by nobody and load nothing from elsewhere', async () => {
  const { app, auth, admin } = await setUp();
  const cookie = await cookieOf(auth, admin.userId);
  for (const response of [
    await send(app, 'GET', '/sign-in'),
    await send(app, 'GET', '/', { cookie }),
  ]) {
    const csp = String(response.headers['content-security-policy']);
    assert.match(csp, /default-src 'none'.*frame-ancestors 'none'/);
    assert.doesNotMatch(csp, /script-src|unsafe/);
    assert.doesNotMatch(response.body, /<script|src=|<link/);
  }
});

test('names and return paths are escaped in pages', async () => {
  const { app } = await setUp();
  const query = new URLSearchParams({ return: `/"><img/src=x>'` }).toString();
  const response = await send(app, 'GET', `/sign-in?${query}`);
  assert.doesNotMatch(response.body, /<img/);
});

test('the home page lists workspaces, and teaches when there are none', async () => {
  const empty = await setUp();
  const cookie = await cookieOf(empty.auth, empty.admin.userId);
  assert.match((await send(empty.app, 'GET', '/', { cookie })).body, /Open your first workspace/);
  const full = await setUp({
    workspaces: () => Promise.resolve([{ name: 'demo', state: 'running', agent: null }]),
  });
  const body = (
    await send(full.app, 'GET', '/', { cookie: await cookieOf(full.auth, full.admin.userId) })
  ).body;
  assert.match(body, /href="https:\/\/demo\.burrow\.test\/"/);
});

test('the REST API takes a token by either header, or the session cookie', async () => {
  const { app, auth, admin } = await setUp();
  const { token } = await auth.tokens.create(admin.userId, 't');
  const cookie = await cookieOf(auth, admin.userId);
  for (const headers of [
    { authorization: `Bearer ${token}` },
    { authorization: `bearer ${token}` },
    { 'burrow-authorization': `Bearer ${token}` },
    { cookie },
  ]) {
    assert.equal((await send(app, 'GET', '/who', headers)).json().username, 'admin');
  }
  assert.deepEqual((await send(app, 'GET', '/who')).json(), {});
});

test('a bad token is refused even beside a good cookie', async () => {
  const { app, auth, admin } = await setUp();
  const cookie = await cookieOf(auth, admin.userId);
  for (const authorization of [`Bearer burrow_pat_${newSecret()}`, 'Basic abc', 'Bearer']) {
    const response = await send(app, 'GET', '/who', { cookie, authorization });
    assert.equal(response.json().code, 'unauthenticated');
  }
});

test('an unsafe request with the cookie must come from the control host', async () => {
  const { app, auth, admin } = await setUp();
  const cookie = await cookieOf(auth, admin.userId);
  assert.equal(
    (await send(app, 'POST', '/who', { cookie, origin: ORIGIN })).json().username,
    'admin',
  );
  for (const headers of [{ cookie }, { cookie, origin: 'https://demo.burrow.test' }]) {
    assert.equal((await send(app, 'POST', '/who', headers)).json().code, 'forbidden');
  }
  const { token } = await auth.tokens.create(admin.userId, 't');
  const bearer = await send(app, 'POST', '/who', { authorization: `Bearer ${token}` });
  assert.equal(bearer.json().username, 'admin');
});

test('an app session is no session of the control host', async () => {
  const { app, auth, admin } = await setUp();
  const parent = await auth.sessions.createControl(admin.userId);
  const session = await auth.sessions.createApp({
    userId: admin.userId,
    parentId: parent.id,
    host: 'demo.burrow.test',
  });
  const cookie = `__Host-burrow_session=${session?.secret}`;
  assert.deepEqual((await send(app, 'GET', '/who', { cookie })).json(), {});
});
