import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newSecret } from '../../auth/secrets.ts';
import {
  headerOf,
  policyWorld,
  requestHead,
  responseOf,
  verdict,
  type PolicyWorld,
} from './testing.ts';

const HOST = 'demo.burrow.test';
const ORIGIN = `https://${HOST}`;

async function begin(world: PolicyWorld, target = '/x?y=1') {
  const response = responseOf(
    await world.policy.decide(requestHead({ target, headers: { accept: 'text/html' } })),
  );
  const location = new URL(headerOf(response, 'location') ?? '');
  const cookie = headerOf(response, 'set-cookie') ?? '';
  return { response, location, cookie, pair: cookie.split(';', 1)[0] ?? '' };
}

/** What the control host does for a signed-in person. */
async function issue(world: PolicyWorld, location: URL) {
  const session = await world.auth.sessions.createControl(world.owner.userId);
  const code = await world.auth.handOver.create({
    userId: world.owner.userId,
    sessionId: session.id,
    host: location.searchParams.get('host') ?? '',
    challenge: location.searchParams.get('challenge') ?? '',
    returnTo: location.searchParams.get('return') ?? '',
  });
  return { code, session };
}

async function callback(world: PolicyWorld, code: string, cookie?: string, authority = HOST) {
  return responseOf(
    await world.policy.decide(
      requestHead({
        authority,
        target: `/.burrow/callback?code=${code}`,
        headers: { cookie, accept: 'text/html' },
      }),
    ),
  );
}

test('a hand-over signs a person in on one app host', async () => {
  const world = await policyWorld();
  const { location, cookie, pair } = await begin(world);
  assert.equal(location.origin + location.pathname, 'https://burrow.test/sign-in/hand-over');
  assert.equal(location.searchParams.get('return'), '/x?y=1');
  assert.match(
    cookie,
    /^__Host-burrow_nonce=[\w-]{43}; Path=\/; Max-Age=900; HttpOnly; SameSite=Lax; Secure$/,
  );
  const { code } = await issue(world, location);
  const done = await callback(world, code, pair);
  assert.equal(done.status, 303);
  assert.equal(headerOf(done, 'location'), '/x?y=1');
  assert.equal(headerOf(done, 'cache-control'), 'no-store');
  assert.equal(headerOf(done, 'referrer-policy'), 'no-referrer');
  const [app = '', nonce = ''] = (headerOf(done, 'set-cookie') ?? '').split('\n');
  assert.match(
    app,
    /^__Host-burrow_app=[\w-]{43}; Path=\/; Max-Age=1209600; HttpOnly; SameSite=Lax; Secure$/,
  );
  assert.match(nonce, /^__Host-burrow_nonce=; Path=\/; Max-Age=0;.*; Secure$/);
  const head = requestHead({
    headers: { cookie: app.split(';', 1)[0], 'sec-fetch-site': 'same-origin' },
  });
  assert.equal(verdict(await world.policy.decide(head)), 'app');
});

test('no cookie of ours has a Domain', async () => {
  const world = await policyWorld();
  const { location, cookie, pair } = await begin(world);
  const { code } = await issue(world, location);
  const done = await callback(world, code, pair);
  assert.doesNotMatch(`${cookie}\n${headerOf(done, 'set-cookie')}`, /domain/i);
});

test('over plain http on loopback the cookies have plain names', async () => {
  const world = await policyWorld('localhost');
  const response = responseOf(
    await world.policy.decide(
      requestHead({
        authority: 'demo.localhost:8080',
        secure: false,
        headers: { accept: 'text/html' },
      }),
    ),
  );
  assert.match(
    headerOf(response, 'set-cookie') ?? '',
    /^burrow_nonce=[\w-]+; Path=\/\.burrow\/; (?!.*Secure)/,
  );
  assert.match(
    headerOf(response, 'location') ?? '',
    /^http:\/\/localhost:8080\/sign-in\/hand-over\?/,
  );
});

test('the URL of a hand-over holds no nonce and no session', async () => {
  const world = await policyWorld();
  const { location, pair } = await begin(world);
  assert.equal(location.href.includes(pair.split('=', 2)[1] ?? '?'), false);
});

test('a stolen callback URL signs nobody in: no nonce cookie', async () => {
  const world = await policyWorld();
  const { location, pair } = await begin(world);
  const { code } = await issue(world, location);
  const stolen = await callback(world, code);
  assert.equal(stolen.status, 401);
  assert.equal(headerOf(stolen, 'set-cookie'), undefined);
  assert.equal((await callback(world, code, pair)).status, 303, 'its owner still gets in');
});

test('another browser’s nonce signs nobody in, and uses the code up', async () => {
  const world = await policyWorld();
  const { location, pair } = await begin(world);
  const other = await begin(world);
  const { code } = await issue(world, location);
  const stolen = await callback(world, code, other.pair);
  assert.equal(stolen.status, 303, 'it begins again');
  assert.equal(headerOf(stolen, 'set-cookie'), undefined);
  assert.equal((await callback(world, code, pair)).status, 401);
});

test('a nonce that another host of the domain could have planted signs nobody in', async () => {
  const world = await policyWorld();
  const { location, pair } = await begin(world);
  const value = pair.slice(pair.indexOf('=') + 1);
  // Browsers refuse `__Host-` with a Domain, and no other prefix or none.
  for (const name of ['burrow_nonce', '__Secure-burrow_nonce']) {
    const { code } = await issue(world, location);
    assert.equal((await callback(world, code, `${name}=${value}`)).status, 401, name);
  }
});

test('a code of one host is worth nothing on another', async () => {
  const world = await policyWorld();
  const { location, pair } = await begin(world);
  const { code } = await issue(world, location);
  assert.equal((await callback(world, code, pair, 'evil.burrow.test')).status, 401);
});

test('a code is worth nothing after 10 s, or twice', async () => {
  const world = await policyWorld();
  const { location, pair } = await begin(world);
  const first = await issue(world, location);
  assert.equal((await callback(world, first.code, pair)).status, 303);
  assert.equal((await callback(world, first.code, pair)).status, 401);
  const second = await issue(world, location);
  world.clock.advance(10_000);
  assert.equal((await callback(world, second.code, pair)).status, 401);
});

test('signing out of the control host before the callback stops the hand-over', async () => {
  const world = await policyWorld();
  const { location, pair } = await begin(world);
  const { code, session } = await issue(world, location);
  await world.auth.sessions.revoke(session.id);
  const done = await callback(world, code, pair);
  assert.doesNotMatch(headerOf(done, 'set-cookie') ?? '', /burrow_app=\w/);
});

for (const [target, expected] of [
  ['/', '/'],
  ['/?folder=/home/me', '/?folder=/home/me'],
  ['//evil.test/', '/'],
  ['/\\evil.test', '/%5Cevil.test'],
  ['/\xe4?q=\x01', '/%E4?q=%01'],
  ['/.burrow-like', '/.burrow-like'],
  [`/${'a'.repeat(3000)}`, '/'],
] as const) {
  test(`after signing in, ${JSON.stringify(target).slice(0, 30)} leads to ${expected}`, async () => {
    const { location } = await begin(await policyWorld(), target);
    assert.equal(location.searchParams.get('return'), expected);
  });
}

async function signOut(origin: string | undefined) {
  const world = await policyWorld();
  const cookie = await world.appCookie(world.owner, HOST);
  const response = responseOf(
    await world.policy.decide(
      requestHead({ method: 'POST', target: '/.burrow/sign-out', headers: { cookie, origin } }),
    ),
  );
  const after = await world.policy.decide(
    requestHead({ headers: { cookie, 'sec-fetch-site': 'same-origin' } }),
  );
  return { response, after: verdict(after) };
}

test('signing out on an app host ends the session', async () => {
  const { response, after } = await signOut(ORIGIN);
  assert.equal(headerOf(response, 'location'), 'https://burrow.test/sign-in');
  assert.equal(after, '401 unauthenticated');
});

test('another page cannot sign a person out', async () => {
  for (const origin of ['https://evil.burrow.test', undefined]) {
    const { response, after } = await signOut(origin);
    assert.equal(response.status, 403);
    assert.equal(after, 'app');
  }
});

test('going back to a used callback leads to the app, not to an error', async () => {
  const world = await policyWorld();
  const cookie = await world.appCookie(world.owner, HOST);
  const response = await callback(world, newSecret(), cookie);
  assert.equal(response.status, 303);
  assert.equal(headerOf(response, 'location'), '/');
});

test('no answer of the gate repeats a code, a cookie or a token', async () => {
  const world = await policyWorld();
  const secret = newSecret();
  for (const accept of ['text/html', '*/*']) {
    for (const over of [
      { target: `/.burrow/callback?code=${secret}` },
      { target: `/.burrow/${secret}` },
      { headers: { cookie: `__Host-burrow_app=${secret}; __Host-burrow_nonce=${secret}` } },
      { headers: { 'burrow-authorization': `Bearer burrow_pat_${secret}` } },
      { headers: { authorization: `Bearer ${secret}` } },
    ]) {
      const response = responseOf(
        await world.policy.decide(requestHead({ ...over, headers: { accept, ...over.headers } })),
      );
      assert.equal(JSON.stringify([response.headers, response.body]).includes(secret), false);
    }
  }
});
