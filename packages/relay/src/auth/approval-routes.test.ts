import assert from 'node:assert/strict';
import { test } from 'node:test';
import fastify from 'fastify';
import type { AuditEvent } from '../audit/event.ts';
import { approvalRoutes, approvalUrl } from './approval-routes.ts';
import { createAuth } from './auth.ts';
import { AUTH_LIMITS } from './limits.ts';
import { isReturnPath } from './return-path.ts';
import { newSecret } from './secrets.ts';
import { testClock, testDatabase } from './testing.ts';

const ORIGIN = 'https://burrow.test';
const NEVER = new AbortController().signal;

async function setUp() {
  const clock = testClock();
  const auth = createAuth({ db: await testDatabase(), clock });
  const olive = await auth.users.create('olive');
  const audited: AuditEvent[] = [];
  const app = fastify({ trustProxy: true });
  await app.register(
    approvalRoutes({ auth, clock, audit: { record: (event) => audited.push(event) } }),
  );
  const session = await auth.sessions.createControl(olive.userId);
  const cookie = `__Host-burrow_session=${session.secret}`;
  const made = await auth.approvals.create({ address: '192.0.2.7', workspace: 'demo' });
  const send = (
    method: 'GET' | 'POST',
    url: string,
    headers: Record<string, string> = { cookie },
    form?: Record<string, string>,
  ) =>
    app.inject({
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
  const decide = (decision: string, code = made.code, headers = { cookie, origin: ORIGIN }) =>
    send('POST', '/ssh/approve', headers, { code, decision });
  const link = approvalUrl(new URL(ORIGIN), made.code).slice(ORIGIN.length);
  return { auth, clock, olive, audited, cookie, made, send, decide, link };
}

test('the page shows who asks and from where, and looking decides nothing', async () => {
  const { send, link, made, auth } = await setUp();
  assert.equal(link, `/ssh/approve?code=${made.code}`);
  const page = await send('GET', link);
  assert.equal(page.statusCode, 200);
  for (const text of ['olive', 'demo', '192.0.2.7', made.userCode, '192.0.2.1', '120 s left']) {
    assert.ok(page.body.includes(text), text);
  }
  assert.equal(page.headers['cache-control'], 'no-store');
  assert.match(String(page.headers['content-security-policy']), /frame-ancestors 'none'/);
  assert.equal(page.headers['referrer-policy'], 'same-origin');
  assert.doesNotMatch(page.body, /<script|src=|<link/);
  assert.ok(await auth.approvals.show(made.code));
});

test('somebody not signed in signs in first, and comes back', async () => {
  const { send, link } = await setUp();
  const answer = await send('GET', link, {});
  assert.equal(answer.statusCode, 303);
  const to = new URL(String(answer.headers['location']), ORIGIN);
  assert.equal(to.pathname, '/sign-in');
  assert.equal(to.searchParams.get('return'), link);
  assert.ok(isReturnPath(link));
});

test('approving lets the one who waits in, once', async () => {
  const { decide, made, auth, olive, audited } = await setUp();
  const waiting = auth.approvals.wait(made.code, NEVER);
  const answer = await decide('approve');
  assert.equal(answer.statusCode, 200);
  assert.match(answer.body, /Go back to your terminal/);
  assert.deepEqual(await waiting, { kind: 'approved', principal: olive });
  assert.deepEqual(audited, [
    {
      action: 'ssh.approved',
      outcome: 'ok',
      userId: olive.userId,
      username: 'olive',
      address: '192.0.2.1',
      workspace: 'demo',
      detail: `${made.userCode} from 192.0.2.7`,
    },
  ]);
  assert.equal((await decide('approve')).statusCode, 404);
});

for (const decision of ['deny', '', 'approve ']) {
  test(`${JSON.stringify(decision)} denies`, async () => {
    const { decide, made, auth, audited } = await setUp();
    const waiting = auth.approvals.wait(made.code, NEVER);
    assert.match((await decide(decision)).body, /Nobody was let in/);
    assert.deepEqual(await waiting, { kind: 'denied' });
    assert.equal(audited[0]?.action, 'ssh.approval-denied');
  });
}

for (const origin of ['https://demo.burrow.test', 'http://burrow.test', 'null', undefined]) {
  test(`a form from origin ${origin} approves nothing`, async () => {
    const { send, made, cookie, auth } = await setUp();
    const headers = { cookie, ...(origin === undefined ? {} : { origin }) };
    const form = { code: made.code, decision: 'approve' };
    assert.equal((await send('POST', '/ssh/approve', headers, form)).statusCode, 403);
    assert.ok(await auth.approvals.show(made.code));
  });
}

test('nobody approves without being signed in', async () => {
  const { send, made, auth } = await setUp();
  const form = { code: made.code, decision: 'approve' };
  const answer = await send('POST', '/ssh/approve', { origin: ORIGIN }, form);
  assert.equal(answer.headers['location'], '/sign-in');
  assert.ok(await auth.approvals.show(made.code));
});

test('an access token is no browser: it does not open the page', async () => {
  const { send, link, auth, olive } = await setUp();
  const { token } = await auth.tokens.create(olive.userId, 't');
  const answer = await send('GET', link, { authorization: `Bearer ${token}` });
  assert.equal(answer.statusCode, 303);
});

test('guessing is limited per address; good links are not', async () => {
  const { send, link, decide, auth, made } = await setUp();
  for (let i = 0; i < 2 * AUTH_LIMITS.attempts; i += 1) {
    assert.equal((await send('GET', link)).statusCode, 200);
  }
  for (let i = 0; i < AUTH_LIMITS.attempts / 2; i += 1) {
    assert.equal((await send('GET', `/ssh/approve?code=${newSecret()}`)).statusCode, 404);
    assert.equal((await decide('approve', newSecret())).statusCode, 404);
  }
  const limited = await send('GET', link);
  assert.equal(limited.statusCode, 429);
  assert.equal(limited.headers['retry-after'], '30');
  assert.equal((await decide('approve')).statusCode, 429);
  assert.ok(await auth.approvals.show(made.code));
});

test('guessing is limited per person, whatever the addresses', async () => {
  const { send, cookie } = await setUp();
  const guess = (from: string) =>
    send('GET', `/ssh/approve?code=${newSecret()}`, { cookie, 'x-forwarded-for': from });
  for (let i = 0; i < AUTH_LIMITS.aimAttempts; i += 1) {
    assert.equal((await guess(`198.51.100.${i}`)).statusCode, 404);
  }
  const limited = await guess('203.0.113.1');
  assert.equal(limited.statusCode, 429);
  assert.match(limited.body, /in your name/);
});

test('what a stranger typed is escaped', async () => {
  const { send, auth } = await setUp();
  const { code } = await auth.approvals.create({ address: '::1', workspace: '<img src=x>' });
  assert.doesNotMatch((await send('GET', `/ssh/approve?code=${code}`)).body, /<img/);
});
