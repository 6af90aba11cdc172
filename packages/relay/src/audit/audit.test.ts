import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { Kysely } from 'kysely';
import { testClock, testDatabase } from '../auth/testing.ts';
import { AUDIT_LIMITS, createAudit, type AuditOptions } from './audit.ts';
import { listEvents } from './list.ts';
import type { AuditTables } from './tables.ts';

async function setUp(t: TestContext, over: Partial<AuditOptions> = {}) {
  const db = await testDatabase();
  const clock = testClock();
  const warned: { fields: object; message: string }[] = [];
  let dropped = 0;
  const audit = createAudit({
    db,
    clock,
    logger: { warn: (fields, message) => warned.push({ fields, message }) },
    onDropped: (count) => (dropped += count),
    ...over,
  });
  t.after(() => audit.stop());
  return {
    db,
    clock,
    warned,
    audit,
    dropped: () => dropped,
    list: (query: object = {}) => listEvents(db, { limit: 50, ...query }),
  };
}

/** The same database, failing for as long as told. */
function flaky(db: Kysely<AuditTables>) {
  const state = { broken: true, statements: 0 };
  const proxy = new Proxy(db, {
    get(target, name: keyof Kysely<AuditTables>) {
      if (name === 'insertInto') {
        state.statements += 1;
        if (state.broken) throw new Error('the disk is full');
      }
      const value = target[name];
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
  return { db: proxy, state };
}

test('what is recorded is listed, newest first', async (t) => {
  const { audit, list, clock } = await setUp(t);
  audit.record({ action: 'key.added', outcome: 'ok', userId: 'u', username: 'olive' });
  audit.record({
    action: 'ssh.sign-in-refused',
    outcome: 'refused',
    workspace: 'demo',
    address: '192.0.2.1',
    channel: '7',
    detail: 'no such key',
  });
  await audit.flush();
  const { events, next } = await list();
  assert.equal(next, null);
  assert.deepEqual(
    events.map(({ id: _id, ...rest }) => rest),
    [
      {
        at: new Date(clock.now()).toISOString(),
        action: 'ssh.sign-in-refused',
        outcome: 'refused',
        userId: null,
        username: null,
        workspace: 'demo',
        address: '192.0.2.1',
        channel: '7',
        detail: 'no such key',
      },
      {
        at: new Date(clock.now()).toISOString(),
        action: 'key.added',
        outcome: 'ok',
        userId: 'u',
        username: 'olive',
        workspace: null,
        address: null,
        channel: null,
        detail: '',
      },
    ],
  );
});

test('pages and filters', async (t) => {
  const { audit, list, clock } = await setUp(t);
  for (let i = 0; i < 450; i += 1) {
    const username = i % 2 === 0 ? 'olive' : 'bob';
    const action = i % 3 === 0 ? 'ssh.sign-in' : 'ssh.session-opened';
    audit.record({ action, outcome: 'ok', username, workspace: `w${i % 5}`, detail: String(i) });
    if (i % 7 === 0) clock.advance(1);
  }
  await audit.flush();
  const seen: number[] = [];
  let cursor: string | null = null;
  do {
    const page: Awaited<ReturnType<typeof list>> = await list({
      limit: 100,
      ...(cursor === null ? {} : { cursor }),
    });
    assert.ok(page.events.length <= 100);
    seen.push(...page.events.map((event) => Number(event.detail)));
    cursor = page.next;
  } while (cursor !== null);
  assert.deepEqual(
    seen,
    Array.from({ length: 450 }, (_, i) => 449 - i),
  );
  const found = await list({ user: 'olive', workspace: 'w3', action: 'ssh.sign-in', limit: 200 });
  assert.deepEqual(
    found.events.map((event) => Number(event.detail)),
    Array.from({ length: 450 }, (_, i) => 449 - i).filter(
      (i) => i % 2 === 0 && i % 5 === 3 && i % 3 === 0,
    ),
  );
});

test('is written by itself: a full batch at once, the rest within a second', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { audit, list } = await setUp(t);
  audit.record({ action: 'key.added', outcome: 'ok' });
  assert.equal((await list()).events.length, 0);
  t.mock.timers.tick(AUDIT_LIMITS.flushMs);
  await audit.flush();
  assert.equal((await list()).events.length, 1);
  for (let i = 0; i < AUDIT_LIMITS.batchRows; i += 1) {
    audit.record({ action: 'key.added', outcome: 'ok' });
  }
  // No tick: the batch is full.
  const began = performance.now();
  const written = async (): Promise<number> => (await list({ limit: 1000 })).events.length;
  while ((await written()) <= AUDIT_LIMITS.batchRows && performance.now() - began < 5_000);
  assert.equal(await written(), AUDIT_LIMITS.batchRows + 1);
});

test('a database that fails loses nothing at first, and the oldest over the bound', async (t) => {
  const { db, state } = flaky(await testDatabase());
  const { audit, warned, dropped } = await setUp(t, { db });
  const extra = 5;
  for (let i = 0; i < AUDIT_LIMITS.waitingEvents; i += 1) {
    audit.record({ action: 'ssh.sign-in', outcome: 'ok', detail: String(i) });
  }
  await audit.flush();
  await audit.flush();
  assert.deepEqual(
    warned.map(({ message }) => message),
    ['audit events cannot be written; they wait'],
    'said once',
  );
  assert.equal(dropped(), 0);
  for (let i = 0; i < extra; i += 1) {
    audit.record({ action: 'ssh.sign-in', outcome: 'ok', detail: `extra ${i}` });
  }
  assert.equal(dropped(), extra);
  state.broken = false;
  await audit.flush();
  assert.deepEqual(warned.at(-1)?.fields, { dropped: extra });
  const rows = await db.selectFrom('audit_events').select('detail').orderBy('id').execute();
  assert.equal(rows.length, AUDIT_LIMITS.waitingEvents);
  assert.equal(rows[0]?.detail, String(extra));
  assert.equal(rows.at(-1)?.detail, 'extra 4');
});

test('stopping writes what is left, and says what could not be', async (t) => {
  const first = await setUp(t);
  first.audit.record({ action: 'key.added', outcome: 'ok' });
  await first.audit.stop();
  await first.audit.stop();
  assert.equal((await first.list()).events.length, 1);

  const { db } = flaky(await testDatabase());
  const second = await setUp(t, { db });
  second.audit.record({ action: 'key.added', outcome: 'ok' });
  await second.audit.stop();
  assert.equal(second.dropped(), 1);
  assert.deepEqual(second.warned.at(-1)?.fields, { dropped: 1 });
});

test('old events are removed, however many', async (t) => {
  const { audit, db, clock, list } = await setUp(t);
  for (let i = 0; i < 2_500; i += 1) audit.record({ action: 'key.added', outcome: 'ok' });
  clock.advance(90 * 86_400_000);
  audit.record({ action: 'key.removed', outcome: 'ok' });
  await audit.stop();
  const other = createAudit({ db, clock, logger: { warn: () => {} } });
  await other.stop();
  clock.advance(1);
  const sweeping = createAudit({ db, clock, logger: { warn: () => {} } });
  // The sweep begun at the start goes on in batches until nothing is left.
  while ((await list({ limit: 2 })).events.length > 1) await new Promise(setImmediate);
  await sweeping.stop();
  assert.equal((await list()).events[0]?.action, 'key.removed');
});

test('what strangers send is cut, cleaned and censored', async (t) => {
  const { audit, list } = await setUp(t);
  audit.record({
    action: 'ssh.sign-in-refused',
    outcome: 'refused',
    username: `\u001b[31m${'x'.repeat(10_000)}`,
    detail: `burrow_pat_${'a'.repeat(43)}\nline`,
  });
  await audit.flush();
  const [event] = (await list()).events;
  assert.equal(event?.username?.length, 300);
  assert.match(event?.username ?? '', /^ \[31mx+$/);
  assert.equal(event?.detail, 'burrow_pat_[hidden] line');
});
