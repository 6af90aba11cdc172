import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createApprovals } from './approvals.ts';
import { createAuth } from './auth.ts';
import { AUTH_LIMITS } from './limits.ts';
import { newSecret } from './secrets.ts';
import { testClock, testDatabase } from './testing.ts';

const ASKED = { address: '192.0.2.7', workspace: 'demo' };
const NEVER = new AbortController().signal;

async function setUp() {
  const db = await testDatabase();
  const clock = testClock();
  const auth = createAuth({ db, clock });
  const olive = await auth.users.create('olive');
  /** As another relay on the same database. */
  const elsewhere = createApprovals(db, () => clock.now(), 1);
  return { db, clock, auth, olive, elsewhere };
}

test('whoever waits hears at once that it was approved, and by whom', async () => {
  const { auth, olive } = await setUp();
  const { code, userCode } = await auth.approvals.create(ASKED);
  assert.match(userCode, /^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$/);
  const waiting = auth.approvals.wait(code, NEVER);
  assert.equal((await auth.approvals.show(code))?.userCode, userCode);
  const began = performance.now();
  assert.equal((await auth.approvals.approve(code, olive))?.workspace, 'demo');
  assert.deepEqual(await waiting, { kind: 'approved', principal: olive });
  assert.ok(performance.now() - began < AUTH_LIMITS.approvalPollMs, 'did not wait for the poll');
});

test('a decision before the wait counts too', async () => {
  const { auth, olive } = await setUp();
  const { code } = await auth.approvals.create(ASKED);
  await auth.approvals.approve(code, olive);
  assert.deepEqual(await auth.approvals.wait(code, NEVER), { kind: 'approved', principal: olive });
});

test('denied is denied', async () => {
  const { auth, olive } = await setUp();
  const { code } = await auth.approvals.create(ASKED);
  const waiting = auth.approvals.wait(code, NEVER);
  await auth.approvals.deny(code, olive);
  assert.deepEqual(await waiting, { kind: 'denied' });
  assert.equal(await auth.approvals.approve(code, olive), undefined);
});

test('is decided once and redeemed once', async () => {
  const { auth, olive, db } = await setUp();
  const { code } = await auth.approvals.create(ASKED);
  const other = await auth.users.create('mallory');
  const decided = await Promise.all([
    auth.approvals.approve(code, olive),
    auth.approvals.approve(code, other),
    auth.approvals.deny(code, other),
  ]);
  assert.equal(decided.filter((each) => each !== undefined).length, 1);
  assert.equal(await auth.approvals.show(code), undefined);
  const outcomes = await Promise.all([
    auth.approvals.wait(code, NEVER),
    auth.approvals.wait(code, NEVER),
  ]);
  assert.deepEqual(outcomes.map(({ kind }) => kind).toSorted(), ['approved', 'expired']);
  assert.deepEqual(await db.selectFrom('ssh_approvals').selectAll().execute(), []);
});

test('what another relay decided is seen', async () => {
  const { auth, elsewhere, olive } = await setUp();
  const { code } = await auth.approvals.create(ASKED);
  const waiting = elsewhere.wait(code, NEVER);
  await auth.approvals.approve(code, olive);
  assert.deepEqual(await waiting, { kind: 'approved', principal: olive });
});

test('after two minutes it is too late, for all', async () => {
  const { auth, elsewhere, olive, clock } = await setUp();
  const { code, expiresAt } = await auth.approvals.create(ASKED);
  assert.equal(expiresAt, clock.now() + 120_000);
  const waiting = elsewhere.wait(code, NEVER);
  clock.advance(120_000);
  assert.deepEqual(await waiting, { kind: 'expired' });
  assert.equal(await auth.approvals.show(code), undefined);
  assert.equal(await auth.approvals.approve(code, olive), undefined);
  const late = await auth.approvals.create(ASKED);
  await auth.approvals.approve(late.code, olive);
  clock.advance(120_000);
  assert.deepEqual(await auth.approvals.wait(late.code, NEVER), { kind: 'expired' });
});

test('when nobody waits any more, the link is dead', async () => {
  const { auth, olive } = await setUp();
  const { code } = await auth.approvals.create(ASKED);
  const abort = new AbortController();
  const waiting = auth.approvals.wait(code, abort.signal);
  const gone = new Error('the client left');
  abort.abort(gone);
  await assert.rejects(waiting, gone);
  assert.equal(await auth.approvals.approve(code, olive), undefined);
  await assert.rejects(auth.approvals.wait(code, abort.signal), gone);
});

test('codes that are not good approve nothing', async () => {
  const { auth, olive } = await setUp();
  for (const code of ['', 'x', newSecret(), `${newSecret()}\n`]) {
    assert.equal(await auth.approvals.show(code), undefined);
    assert.equal(await auth.approvals.approve(code, olive), undefined);
    assert.deepEqual(await auth.approvals.wait(code, NEVER), { kind: 'expired' });
  }
});

test('the code is not stored, and old rows are removed', async () => {
  const { auth, db, clock } = await setUp();
  const { code } = await auth.approvals.create(ASKED);
  const rows = await db.selectFrom('ssh_approvals').selectAll().execute();
  assert.ok(!JSON.stringify(rows).includes(code));
  clock.advance(120_000);
  await auth.approvals.create(ASKED);
  assert.equal((await db.selectFrom('ssh_approvals').selectAll().execute()).length, 1);
});

test('only so many may wait', async () => {
  const { auth, clock } = await setUp();
  for (let i = 0; i < AUTH_LIMITS.approvals; i += 1) await auth.approvals.create(ASKED);
  await assert.rejects(auth.approvals.create(ASKED), { code: 'too-many-requests' });
  clock.advance(120_000);
  await auth.approvals.create(ASKED);
});
