import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createAuth, type Auth } from './auth.ts';
import { AUTH_LIMITS } from './limits.ts';
import type { Principal } from './principal.ts';
import { hashSecret, newSecret } from './secrets.ts';
import { testClock, testDatabase } from './testing.ts';

async function setUp() {
  const db = await testDatabase();
  const clock = testClock();
  const auth = createAuth({ db, clock });
  const admin = await auth.users.ensureLocalAdmin();
  return { db, clock, auth, admin };
}

async function control(auth: Auth, user: Principal) {
  return auth.sessions.createControl(user.userId);
}

test('the local admin is made once', async () => {
  const { auth, admin } = await setUp();
  assert.equal(admin.admin, true);
  assert.deepEqual(await auth.users.ensureLocalAdmin(), admin);
});

test('an access token is verified, the second time without a promise', async () => {
  const { auth, admin } = await setUp();
  const { token } = await auth.tokens.create(admin.userId, 'laptop');
  assert.match(token, /^burrow_pat_[A-Za-z0-9_-]{43}$/);
  assert.deepEqual(await auth.tokens.verify(token), admin);
  assert.deepEqual(auth.tokens.verify(token), admin);
});

test('what is stored does not contain the token, a session secret or a code', async () => {
  const { db, auth, admin } = await setUp();
  const { token } = await auth.tokens.create(admin.userId, 'laptop');
  const session = await control(auth, admin);
  const link = await auth.signInLinks.create({ userId: admin.userId });
  const rows = JSON.stringify([
    await db.selectFrom('access_tokens').selectAll().execute(),
    await db.selectFrom('sessions').selectAll().execute(),
    await db.selectFrom('sign_in_codes').selectAll().execute(),
  ]);
  for (const secret of [token.slice('burrow_pat_'.length), session.secret, link.code]) {
    assert.equal(rows.includes(secret), false);
  }
});

for (const [what, token] of [
  ['unknown', `burrow_pat_${newSecret()}`],
  ['empty', ''],
  ['of an agent', `burrow_agt_${newSecret()}`],
  ['too short', 'burrow_pat_abc'],
  ['with a line end', `burrow_pat_${newSecret()}\n`],
  ['a megabyte', `burrow_pat_${'a'.repeat(1 << 20)}`],
] as const) {
  test(`an access token that is ${what} signs nobody in`, async () => {
    const { auth } = await setUp();
    assert.equal(await auth.tokens.verify(token), undefined);
  });
}

test('an access token ends at its time, even when remembered', async () => {
  const { auth, admin, clock } = await setUp();
  const { token } = await auth.tokens.create(admin.userId, 'x', { expiresAt: clock.now() + 1000 });
  assert.deepEqual(await auth.tokens.verify(token), admin);
  clock.advance(1000);
  assert.equal(await auth.tokens.verify(token), undefined);
});

test('a revoked access token is refused at once, and the version grows', async () => {
  const { auth, admin } = await setUp();
  const { token, id } = await auth.tokens.create(admin.userId, 'x');
  await auth.tokens.verify(token);
  const before = auth.version;
  assert.equal(await auth.tokens.revoke(id), true);
  assert.ok(auth.version > before);
  assert.equal(await auth.tokens.verify(token), undefined);
  assert.equal(await auth.tokens.revoke(id), false);
});

test('somebody else cannot revoke a token', async () => {
  const { auth, admin } = await setUp();
  const other = await auth.users.create('mallory');
  const { token, id } = await auth.tokens.create(admin.userId, 'x');
  assert.equal(await auth.tokens.revoke(id, other.userId), false);
  assert.deepEqual(await auth.tokens.verify(token), admin);
});

test('replaceByName leaves one token of that name', async () => {
  const { auth, admin } = await setUp();
  const first = await auth.tokens.replaceByName(admin.userId, 'start');
  await auth.tokens.verify(first.token);
  const second = await auth.tokens.replaceByName(admin.userId, 'start');
  assert.equal(await auth.tokens.verify(first.token), undefined);
  assert.deepEqual(await auth.tokens.verify(second.token), admin);
  assert.equal((await auth.tokens.list(admin.userId)).length, 1);
});

test('a credential that another relay revoked is refused once the memory of it ends', async () => {
  const { db, auth, admin, clock } = await setUp();
  const { token } = await auth.tokens.create(admin.userId, 'x');
  await auth.tokens.verify(token);
  await db.deleteFrom('access_tokens').execute();
  clock.advance(AUTH_LIMITS.cacheMs);
  assert.equal(await auth.tokens.verify(token), undefined);
});

test('an app session works on its exact host only', async () => {
  const { auth, admin } = await setUp();
  const parent = await control(auth, admin);
  const app = await auth.sessions.createApp({
    userId: admin.userId,
    parentId: parent.id,
    host: 'demo.localhost:8080',
  });
  assert.ok(app);
  assert.equal((await auth.sessions.verifyApp(app.secret, 'demo.localhost:8080'))?.id, app.id);
  for (const host of ['demo.localhost', 'demo.localhost:8081', '3000-demo.localhost:8080', '']) {
    assert.equal(await auth.sessions.verifyApp(app.secret, host), undefined, host);
  }
  assert.equal(await auth.sessions.verifyControl(app.secret), undefined);
  assert.equal(
    await auth.sessions.verifyApp(parent.secret, 'demo.localhost:8080'),
    undefined,
    'a control session is none on an app host',
  );
});

test('an app session dies with its control session, at once', async () => {
  const { auth, admin } = await setUp();
  const parent = await control(auth, admin);
  const app = await auth.sessions.createApp({
    userId: admin.userId,
    parentId: parent.id,
    host: 'a.localhost',
  });
  assert.ok(app);
  assert.ok(await auth.sessions.verifyApp(app.secret, 'a.localhost'));
  await auth.sessions.revoke(parent.id);
  assert.equal(await auth.sessions.verifyApp(app.secret, 'a.localhost'), undefined);
  assert.equal(await auth.sessions.verifyControl(parent.secret), undefined);
  assert.equal(
    await auth.sessions.createApp({ userId: admin.userId, parentId: parent.id, host: 'a' }),
    undefined,
  );
});

test('an app session cannot be the parent of another, nor can somebody else’s session', async () => {
  const { auth, admin } = await setUp();
  const other = await auth.users.create('mallory');
  const parent = await control(auth, admin);
  const app = await auth.sessions.createApp({
    userId: admin.userId,
    parentId: parent.id,
    host: 'a',
  });
  assert.ok(app);
  for (const [userId, parentId] of [
    [admin.userId, app.id],
    [other.userId, parent.id],
  ] as const) {
    assert.equal(await auth.sessions.createApp({ userId, parentId, host: 'b' }), undefined);
  }
});

test('signing a user out everywhere ends all sessions', async () => {
  const { auth, admin } = await setUp();
  const one = await control(auth, admin);
  const two = await control(auth, admin);
  await auth.sessions.verifyControl(one.secret);
  await auth.sessions.revokeUser(admin.userId);
  assert.equal(await auth.sessions.verifyControl(one.secret), undefined);
  assert.equal(await auth.sessions.verifyControl(two.secret), undefined);
});

test('a sign-in link works once, also for two at the same moment', async () => {
  const { auth, admin } = await setUp();
  const { code } = await auth.signInLinks.create({ userId: admin.userId, returnTo: '/x?y=1' });
  const results = await Promise.all([
    auth.signInLinks.consume(code),
    auth.signInLinks.consume(code),
  ]);
  assert.deepEqual(
    results.filter((result) => result !== undefined),
    [{ userId: admin.userId, returnTo: '/x?y=1' }],
  );
  assert.equal(await auth.signInLinks.consume(code), undefined);
});

test('a sign-in link ends after its time', async () => {
  const { auth, admin, clock } = await setUp();
  const { code } = await auth.signInLinks.create({ userId: admin.userId });
  clock.advance(AUTH_LIMITS.signInLinkMs);
  assert.equal(await auth.signInLinks.consume(code), undefined);
});

test('links and hand-over codes lead back to paths of the same host only', async () => {
  const { auth, admin } = await setUp();
  for (const returnTo of [
    '//evil.test',
    '/\\evil.test',
    'https://evil.test',
    '/a\r\nb',
    '',
    '/a b',
  ]) {
    await assert.rejects(auth.signInLinks.create({ userId: admin.userId, returnTo }), TypeError);
  }
});

async function handOver(host = 'a.localhost') {
  const context = await setUp();
  const session = await control(context.auth, context.admin);
  const nonce = newSecret();
  const code = await context.auth.handOver.create({
    userId: context.admin.userId,
    sessionId: session.id,
    host,
    challenge: hashSecret(nonce),
    returnTo: '/x',
  });
  return { ...context, session, nonce, code, host };
}

test('a hand-over code is redeemed with its nonce, once', async () => {
  const { auth, admin, session, nonce, code, host } = await handOver();
  const options = { code, host, nonces: [newSecret(), nonce] };
  assert.deepEqual(await auth.handOver.redeem(options), {
    kind: 'ok',
    userId: admin.userId,
    sessionId: session.id,
    returnTo: '/x',
  });
  assert.deepEqual(await auth.handOver.redeem(options), { kind: 'unknown' });
});

test('a hand-over code is worth nothing without its nonce, and is used up', async () => {
  const { auth, nonce, code, host } = await handOver();
  assert.equal(
    (await auth.handOver.redeem({ code, host, nonces: [newSecret()] })).kind,
    'wrong-nonce',
  );
  assert.equal((await auth.handOver.redeem({ code, host, nonces: [nonce] })).kind, 'unknown');
});

test('a hand-over code is worth nothing on another host', async () => {
  const { auth, nonce, code } = await handOver();
  const redeemed = await auth.handOver.redeem({ code, host: 'b.localhost', nonces: [nonce] });
  assert.equal(redeemed.kind, 'unknown');
});

test('a hand-over code lives for 10 s', async () => {
  const { auth, nonce, code, host, clock } = await handOver();
  clock.advance(10_000);
  assert.equal((await auth.handOver.redeem({ code, host, nonces: [nonce] })).kind, 'unknown');
});

test('a hand-over code is no sign-in link', async () => {
  const { auth, code } = await handOver();
  assert.equal(await auth.signInLinks.consume(code), undefined);
});

test('expired rows are removed', async () => {
  const { db, auth, admin, clock } = await setUp();
  await auth.signInLinks.create({ userId: admin.userId });
  const session = await control(auth, admin);
  await auth.sessions.createApp({ userId: admin.userId, parentId: session.id, host: 'a' });
  clock.advance(AUTH_LIMITS.sessionMs);
  await auth.sweep();
  assert.equal((await db.selectFrom('sign_in_codes').selectAll().execute()).length, 0);
  assert.equal((await db.selectFrom('sessions').selectAll().execute()).length, 0);
});
