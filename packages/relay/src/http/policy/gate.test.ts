import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newSecret } from '../../auth/secrets.ts';
import { SqlError } from '../../db/sql-error.ts';
import { RelayError } from '../../errors.ts';
import type { RequestHead } from '../gate-policy.ts';
import { createGatePolicy } from './gate.ts';
import {
  headerOf,
  policyWorld,
  requestHead,
  responseOf,
  verdict,
  workspaceRoute,
} from './testing.ts';

const EDITOR = 'demo.burrow.test';
const OWN = `https://${EDITOR}`;
const SIBLING = 'https://evil.burrow.test';

type Row = readonly [name: string, head: Parameters<typeof requestHead>[0], expected: string];

/** Every row is sent with a good cookie of the owner for that exact host. */
const WITH_COOKIE: readonly Row[] = [
  ['a page', { headers: { 'sec-fetch-site': 'none', 'sec-fetch-mode': 'navigate' } }, 'app'],
  ['an old browser’s page', { headers: { accept: 'text/html' } }, 'app'],
  [
    'own script',
    { headers: { 'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'no-cors' } },
    'app',
  ],
  ['own POST', { method: 'POST', headers: { origin: OWN } }, 'app'],
  [
    'own POST without Origin',
    { method: 'POST', headers: { 'sec-fetch-site': 'same-origin' } },
    'app',
  ],
  ['own WebSocket', { upgrade: 'websocket', headers: { origin: OWN } }, 'app'],
  [
    'a link on another page',
    {
      headers: {
        'sec-fetch-site': 'cross-site',
        'sec-fetch-mode': 'navigate',
        'sec-fetch-dest': 'document',
      },
    },
    'app',
  ],
  [
    'the API path of the app',
    { target: '/api/v1/workspaces', headers: { 'sec-fetch-site': 'same-origin' } },
    'app',
  ],
  [
    'a gRPC path of the app',
    {
      method: 'POST',
      target: '/burrow.tunnel.v1.TunnelService/Connect',
      headers: { origin: OWN, 'content-type': 'application/grpc' },
    },
    'app',
  ],
  [
    'a path that only looks reserved',
    { target: '/.burrower', headers: { 'sec-fetch-site': 'same-origin' } },
    'app',
  ],

  [
    'a sibling’s WebSocket',
    { upgrade: 'websocket', headers: { origin: SIBLING, 'sec-fetch-site': 'same-site' } },
    '403 forbidden',
  ],
  ['a WebSocket without Origin', { upgrade: 'websocket' }, '403 forbidden'],
  [
    'a WebSocket of origin null',
    { upgrade: 'websocket', headers: { origin: 'null' } },
    '403 forbidden',
  ],
  [
    'a WebSocket of another port of this workspace',
    { upgrade: 'websocket', headers: { origin: 'https://3000-demo.burrow.test' } },
    '403 forbidden',
  ],
  [
    'a WebSocket of the same name over http',
    { upgrade: 'websocket', headers: { origin: `http://${EDITOR}` } },
    '403 forbidden',
  ],
  [
    'a WebSocket of the same name on another port',
    { upgrade: 'websocket', headers: { origin: `${OWN}:8443` } },
    '403 forbidden',
  ],
  [
    'a WebSocket whose Origin is in capitals',
    { upgrade: 'websocket', headers: { origin: OWN.toUpperCase() } },
    '403 forbidden',
  ],
  [
    'a sibling’s POST',
    { method: 'POST', headers: { origin: SIBLING, 'sec-fetch-site': 'same-site' } },
    '403 forbidden',
  ],
  [
    'a sibling’s POST that claims same-origin',
    { method: 'POST', headers: { origin: SIBLING, 'sec-fetch-site': 'same-origin' } },
    '403 forbidden',
  ],
  ['a POST without Origin and metadata', { method: 'POST' }, '403 forbidden'],
  [
    'a same-site DELETE without Origin',
    { method: 'DELETE', headers: { 'sec-fetch-site': 'same-site' } },
    '403 forbidden',
  ],
  ['an unknown method without Origin', { method: 'get' }, '403 forbidden'],
  [
    'a sibling’s form',
    {
      method: 'POST',
      headers: {
        origin: SIBLING,
        'sec-fetch-mode': 'navigate',
        'sec-fetch-dest': 'document',
        'sec-fetch-site': 'same-site',
      },
    },
    '403 forbidden',
  ],
  [
    'a sibling’s <script>',
    {
      headers: {
        'sec-fetch-site': 'same-site',
        'sec-fetch-mode': 'no-cors',
        'sec-fetch-dest': 'script',
        referer: `${SIBLING}/`,
      },
    },
    '403 forbidden',
  ],
  [
    'a sibling’s <img> without Referer',
    {
      headers: {
        'sec-fetch-site': 'same-site',
        'sec-fetch-mode': 'no-cors',
        'sec-fetch-dest': 'image',
      },
    },
    '403 forbidden',
  ],
  [
    'a sibling’s fetch',
    { headers: { origin: SIBLING, 'sec-fetch-site': 'same-site', 'sec-fetch-mode': 'cors' } },
    '403 forbidden',
  ],
  [
    'a sibling’s <iframe>',
    {
      headers: {
        'sec-fetch-site': 'same-site',
        'sec-fetch-mode': 'navigate',
        'sec-fetch-dest': 'iframe',
        referer: `${SIBLING}/`,
      },
    },
    '403 forbidden',
  ],
  [
    'an <iframe> without Referer',
    {
      headers: {
        'sec-fetch-site': 'same-site',
        'sec-fetch-mode': 'navigate',
        'sec-fetch-dest': 'iframe',
      },
    },
    '403 forbidden',
  ],
  [
    'a sibling’s <object>',
    {
      headers: {
        'sec-fetch-site': 'same-site',
        'sec-fetch-mode': 'navigate',
        'sec-fetch-dest': 'object',
        referer: `${SIBLING}/`,
      },
    },
    '403 forbidden',
  ],
  [
    'the editor framing a port of its workspace',
    {
      authority: '3000-demo.burrow.test',
      headers: {
        'sec-fetch-site': 'same-site',
        'sec-fetch-mode': 'navigate',
        'sec-fetch-dest': 'iframe',
        referer: `${OWN}/`,
      },
    },
    'app',
  ],
  [
    'a look-alike framing',
    {
      headers: {
        'sec-fetch-site': 'cross-site',
        'sec-fetch-mode': 'navigate',
        'sec-fetch-dest': 'iframe',
        referer: 'https://demo.burrow.test.evil.test/',
      },
    },
    '403 forbidden',
  ],

  [
    'a named origin’s POST',
    {
      authority: '8000-demo.burrow.test',
      method: 'POST',
      headers: { origin: 'https://front.example' },
    },
    'app',
  ],
  [
    'a named origin’s WebSocket',
    {
      authority: '8000-demo.burrow.test',
      upgrade: 'websocket',
      headers: { origin: 'https://front.example' },
    },
    'app',
  ],
  [
    'a named origin’s script',
    {
      authority: '8000-demo.burrow.test',
      headers: {
        'sec-fetch-site': 'cross-site',
        'sec-fetch-mode': 'no-cors',
        referer: 'https://front.example/',
      },
    },
    'app',
  ],
  [
    'a named origin on a port that does not name it',
    {
      authority: '8001-demo.burrow.test',
      method: 'POST',
      headers: { origin: 'https://front.example' },
    },
    '403 forbidden',
  ],
  [
    'an origin that begins like a named one',
    {
      authority: '8000-demo.burrow.test',
      method: 'POST',
      headers: { origin: 'https://front.example.evil.test' },
    },
    '403 forbidden',
  ],
  [
    'an origin whose host name holds the owner’s name',
    { method: 'POST', headers: { origin: 'https://olive.burrow.test' } },
    '403 forbidden',
  ],

  [
    'a forged X-Forwarded-Host towards another workspace',
    { headers: { 'x-forwarded-host': 'evil.burrow.test', forwarded: 'host=evil.burrow.test' } },
    'app',
  ],
];

for (const [name, over, expected] of WITH_COOKIE) {
  test(`with a cookie, ${name}: ${expected}`, async () => {
    const { policy, appCookie, owner } = await policyWorld();
    const authority = over?.authority ?? EDITOR;
    const cookie = await appCookie(owner, authority);
    const head = requestHead({ ...over, authority, headers: { ...over?.headers, cookie } });
    const decision = await policy.decide(head);
    assert.equal(verdict(decision), expected);
    if (decision.kind === 'app') assert.equal(decision.route.name, 'demo');
  });
}

const WITHOUT: readonly Row[] = [
  ['a page', { headers: { 'sec-fetch-mode': 'navigate' } }, '302'],
  ['an old browser’s page', { headers: { accept: 'text/html,*/*' } }, '302'],
  [
    'a page of no such workspace',
    { authority: 'nobody.burrow.test', headers: { accept: 'text/html' } },
    '302',
  ],
  [
    'a fetch',
    { headers: { 'sec-fetch-mode': 'cors', accept: 'text/html' } },
    '401 unauthenticated',
  ],
  ['curl', { headers: { accept: '*/*' } }, '401 unauthenticated'],
  [
    'a WebSocket',
    { upgrade: 'websocket', headers: { accept: 'text/html' } },
    '401 unauthenticated',
  ],
  ['a form', { method: 'POST', headers: { 'sec-fetch-mode': 'navigate' } }, '401 unauthenticated'],
  [
    'a preflight of any origin',
    {
      method: 'OPTIONS',
      authority: '8000-demo.burrow.test',
      headers: { origin: SIBLING, 'access-control-request-method': 'PUT' },
    },
    '401 unauthenticated',
  ],
  [
    'a preflight of a named origin',
    {
      method: 'OPTIONS',
      authority: '8000-demo.burrow.test',
      headers: { origin: 'https://front.example', 'access-control-request-method': 'PUT' },
    },
    '204',
  ],
  [
    'a preflight to no such workspace',
    {
      method: 'OPTIONS',
      authority: '8000-nobody.burrow.test',
      headers: { origin: 'https://front.example', 'access-control-request-method': 'PUT' },
    },
    '401 unauthenticated',
  ],
  ['an unknown path of ours', { target: '/.burrow/secret' }, '404 not-found'],
  ['our bare path', { target: '/.burrow' }, '404 not-found'],
  [
    'a forged cookie',
    { headers: { cookie: `__Host-burrow_app=${newSecret()}` } },
    '401 unauthenticated',
  ],
  [
    'a cookie without its prefix',
    { headers: { cookie: `burrow_app=${newSecret()}` } },
    '401 unauthenticated',
  ],
  [
    'an app’s own Authorization',
    { headers: { authorization: 'Bearer of-the-app' } },
    '401 unauthenticated',
  ],
  [
    'a bad Burrow-Authorization',
    { headers: { 'burrow-authorization': 'Bearer x', accept: 'text/html' } },
    '401 unauthenticated',
  ],
  ['an unknown host', { authority: 'evil.test' }, '421 misdirected'],
  ['no host', { authority: '' }, '421 misdirected'],
  ['a port outside 1 to 65535', { authority: '70000-demo.burrow.test' }, '421 misdirected'],
  ['the control host', { authority: 'burrow.test' }, 'control'],
  ['plain http to an app', { secure: false }, '403 insecure'],
  ['plain http to the control host', { secure: false, authority: 'burrow.test' }, '403 insecure'],
  ['plain http to an address', { secure: false, authority: '192.0.2.7' }, '403 insecure'],
  ['plain http to loopback', { secure: false, authority: '127.0.0.1:8080' }, 'control'],
  [
    'a probe over plain http',
    { secure: false, authority: '10.0.0.7:8080', target: '/readyz' },
    'control',
  ],
  [
    'an agent’s WebSocket over plain http',
    {
      secure: false,
      authority: '10.0.0.7:8080',
      target: '/burrow.tunnel.v1.TunnelService/Connect',
      upgrade: 'websocket',
    },
    'control',
  ],
  [
    'a probe’s path on an app over plain http',
    { secure: false, target: '/readyz' },
    '403 insecure',
  ],
];

for (const [name, over, expected] of WITHOUT) {
  test(`without a session, ${name}: ${expected}`, async () => {
    const { policy } = await policyWorld();
    assert.equal(verdict(await policy.decide(requestHead(over))), expected);
  });
}

async function asUser(
  who: 'owner' | 'stranger' | 'admin',
  over: Parameters<typeof requestHead>[0] = {},
) {
  const world = await policyWorld();
  const { token } = await world.auth.tokens.create(world[who].userId, 't');
  const head = requestHead({
    ...over,
    headers: { ...over.headers, 'burrow-authorization': `Bearer ${token}` },
  });
  return { world, head, decision: await world.policy.decide(head) };
}

test('Burrow-Authorization needs no Origin, and passes unsafe methods and upgrades', async () => {
  for (const over of [
    { method: 'POST' },
    { method: 'POST', headers: { origin: SIBLING } },
    { upgrade: 'websocket' },
  ]) {
    assert.equal(verdict((await asUser('owner', over)).decision), 'app');
  }
});

test('an admin may open every workspace, a stranger only their own', async () => {
  assert.equal(verdict((await asUser('admin')).decision), 'app');
  assert.equal(
    verdict((await asUser('stranger', { authority: 'evil.burrow.test' })).decision),
    'app',
  );
  assert.equal(verdict((await asUser('stranger')).decision), '404 workspace-unknown');
});

test('a workspace of somebody else and none at all look the same', async () => {
  const strip = (text: string) => text.replaceAll(/nonce(-|=")[A-Za-z0-9+/=]+/g, '');
  const [other, none] = await Promise.all(
    ['demo.burrow.test', 'nothing.burrow.test'].map(async (authority) =>
      responseOf(
        (await asUser('stranger', { authority, headers: { accept: 'text/html' } })).decision,
      ),
    ),
  );
  assert.ok(other && none);
  assert.equal(other.status, none.status);
  assert.deepEqual(other.headers.map(strip), none.headers.map(strip));
  assert.equal(strip(String(other.body)), strip(String(none.body)));
});

test('a session of one host is none on another', async () => {
  const { policy, appCookie, owner } = await policyWorld();
  const cookie = await appCookie(owner, EDITOR);
  const head = requestHead({ authority: '3000-demo.burrow.test', headers: { cookie } });
  assert.equal(verdict(await policy.decide(head)), '401 unauthenticated');
});

test('a second decision is synchronous and may be reused; signing out ends that at once', async () => {
  const { policy, auth, owner } = await policyWorld();
  const parent = await auth.sessions.createControl(owner.userId);
  const session = await auth.sessions.createApp({
    userId: owner.userId,
    parentId: parent.id,
    host: EDITOR,
  });
  const head: RequestHead = requestHead({
    headers: {
      cookie: `other=1; __Host-burrow_app=${session?.secret}`,
      'sec-fetch-site': 'same-origin',
    },
  });
  await policy.decide(head);
  const decision = policy.decide(head);
  assert.ok(!(decision instanceof Promise));
  assert.ok(decision.kind === 'app' && decision.reusable === true);
  const before = policy.version;
  await auth.sessions.revoke(parent.id);
  assert.notEqual(policy.version, before);
  assert.equal(verdict(await policy.decide(head)), '401 unauthenticated');
});

test('a planted cookie does not hide the real one', async () => {
  const { policy, appCookie, owner } = await policyWorld('localhost');
  const good = await appCookie(owner, 'demo.localhost:8080', false);
  const head = requestHead({
    authority: 'demo.localhost:8080',
    secure: false,
    headers: { cookie: `burrow_app=${newSecret()}; ${good}`, 'sec-fetch-site': 'same-origin' },
  });
  assert.equal(verdict(await policy.decide(head)), 'app');
});

test('CORS headers name the origin of the policy, and only that', async () => {
  const { policy, appCookie, owner } = await policyWorld();
  const authority = '8000-demo.burrow.test';
  const cookie = await appCookie(owner, authority);
  const decision = await policy.decide(
    requestHead({ authority, headers: { cookie, origin: 'https://front.example' } }),
  );
  assert.ok(decision.kind === 'app');
  assert.deepEqual(decision.responseHeaders, [
    'Access-Control-Allow-Origin',
    'https://front.example',
    'Access-Control-Allow-Credentials',
    'true',
    'Vary',
    'Origin',
  ]);
});

test('a database that fails is a 503 with Retry-After, logged once, and tells no details', async () => {
  const { auth, clock } = await policyWorld();
  const logged: unknown[] = [];
  let fault: Error = new SqlError({ message: 'disk I/O error', sqlite: 10 });
  const policy = createGatePolicy({
    domain: 'burrow.test',
    publicHosts: [],
    auth: {
      ...auth,
      version: 0,
      tokens: { ...auth.tokens, verify: () => Promise.reject(fault) },
    },
    clock,
    directory: { find: () => undefined },
    log: { error: (fields) => logged.push(fields) },
  });
  const head = requestHead({
    headers: { 'burrow-authorization': `Bearer burrow_pat_${newSecret()}` },
  });
  const failed = async (): Promise<RelayError> => {
    try {
      await policy.decide(head);
    } catch (error) {
      return error as RelayError;
    }
    throw new Error('it was decided');
  };
  const error = await failed();
  assert.equal(error.code, 'unavailable');
  const response = policy.failure(head, error, {});
  assert.equal(response.status, 503);
  assert.match(headerOf(response, 'retry-after') ?? '', /^[1-9]/);
  assert.doesNotMatch(String(response.body), /disk/);
  fault = new RelayError('unavailable', 'The thread has ended.');
  assert.equal((await failed()).retryAfter, error.retryAfter);
  assert.equal(logged.length, 1);
  clock.advance(10_000);
  await failed();
  assert.equal(logged.length, 2);
  fault = new TypeError('a bug');
  assert.equal(await failed(), fault);
});

test('an answered preflight allows what was asked, without cookies', async () => {
  const { policy } = await policyWorld();
  const response = responseOf(
    await policy.decide(
      requestHead({
        method: 'OPTIONS',
        authority: '8000-demo.burrow.test',
        headers: {
          origin: 'https://front.example',
          'access-control-request-method': 'PUT',
          'access-control-request-headers': 'content-type, x-a',
        },
      }),
    ),
  );
  assert.equal(headerOf(response, 'access-control-allow-origin'), 'https://front.example');
  assert.equal(headerOf(response, 'access-control-allow-methods'), 'PUT');
  assert.equal(headerOf(response, 'access-control-allow-headers'), 'content-type, x-a');
  assert.match(headerOf(response, 'vary') ?? '', /Origin/);
  assert.equal(headerOf(response, 'set-cookie'), undefined);
});

test('a refusal of a client without Origin names the way out', async () => {
  const { policy, appCookie, owner } = await policyWorld();
  const cookie = await appCookie(owner, EDITOR);
  const response = responseOf(
    await policy.decide(requestHead({ method: 'POST', headers: { cookie } })),
  );
  assert.match(String(response.body), /Burrow-Authorization/);
});

test('a stopped workspace says so at once', async () => {
  const { world, head } = await asUser('owner');
  world.routes.set('demo', workspaceRoute({ ownerId: world.owner.userId, state: 'stopped' }));
  assert.equal(verdict(await world.policy.decide(head)), '503 workspace-stopped');
});

test('a 401 says how to sign in and carries WWW-Authenticate', async () => {
  const { policy } = await policyWorld();
  const response = responseOf(await policy.decide(requestHead()));
  assert.equal(headerOf(response, 'www-authenticate'), 'Bearer realm="burrow"');
  const { error } = JSON.parse(String(response.body)) as { error: Record<string, string> };
  assert.equal(error['code'], 'unauthenticated');
  assert.equal(error['blame'], 'client');
  assert.match(error['next'] ?? '', /Burrow-Authorization/);
  assert.equal(error['requestId'], 'req1');
});
