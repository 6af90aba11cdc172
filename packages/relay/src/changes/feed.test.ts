import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { openSharedTestDatabase } from '../db/testing.ts';
import { ChangeFeed } from './feed.ts';
import { recordChange } from './record.ts';

async function two(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'burrow-changes-'));
  const open = await openSharedTestDatabase(join(folder, 'relay.sqlite'));
  const databases = [await open(), await open()];
  t.after(async () => {
    await Promise.all(databases.map((each) => each.close()));
    rmSync(folder, { recursive: true });
  });
  return databases.map(({ kysely: db }) => {
    const feed = new ChangeFeed(db, (error) => assert.fail(error as Error));
    const told: string[] = [];
    feed.subscribe(({ kind, subject }) => told.push(`${kind} ${subject}`));
    return { db, feed, told };
  }) as [Side, Side];
}

interface Side {
  readonly db: Parameters<typeof recordChange>[0];
  readonly feed: ChangeFeed;
  readonly told: string[];
}

const key = (subject: string) => ({ kind: 'ssh-key', subject }) as const;

test('what one relay changes is told to the other, once, and not to itself', async (t) => {
  const [here, there] = await two(t);
  await here.feed.record(here.db, 0, key('a'), { kind: 'token', subject: 'b' });
  await here.feed.poll();
  for (let i = 0; i < 3; i += 1) await there.feed.poll();
  assert.deepEqual(here.told, []);
  assert.deepEqual(there.told.toSorted(), ['ssh-key a', 'token b']);
});

test('what was before a relay started is not told', async (t) => {
  const [here, there] = await two(t);
  for (let i = 0; i < 300; i += 1) await here.feed.record(here.db, 0, key(String(i)));
  await there.feed.prime();
  await there.feed.poll();
  await here.feed.record(here.db, 0, key('new'));
  await there.feed.poll();
  assert.deepEqual(there.told, ['ssh-key new']);
});

test('of a transaction that fails nothing is told', async (t) => {
  const [here, there] = await two(t);
  const failing = here.db.transaction().execute(async (trx) => {
    await here.feed.record(trx, 0, key('a'));
    throw new Error('no');
  });
  await assert.rejects(failing, /no/);
  await there.feed.poll();
  assert.deepEqual(there.told, []);
});

test('clocks do not matter: hours apart, either way, and more than a page at once', async (t) => {
  const [here, there] = await two(t);
  const now = 1_800_000_000_000;
  await here.feed.record(here.db, now + 7_200_000, key('ahead'));
  await here.feed.record(here.db, now - 7_200_000, key('behind'));
  await there.feed.poll();
  assert.deepEqual(there.told, ['ssh-key ahead', 'ssh-key behind']);
  await here.db.transaction().execute(async (trx) => {
    for (let i = 0; i < 1_200; i += 1) await here.feed.record(trx, now, key(String(i)));
  });
  await there.feed.poll();
  assert.equal(there.told.length, 1_202);
});

test('one that commits late, after others with a higher position, is told too', async (t) => {
  const [here, there] = await two(t);
  await recordChange(here.db, 0, key('first'));
  await here.db
    .insertInto('changes')
    .values({ id: 'x', position: 50, kind: 'token', subject: 'far', reason: null, at: 0 })
    .execute();
  await there.feed.poll();
  await here.db
    .insertInto('changes')
    .values({ id: 'y', position: 49, kind: 'token', subject: 'late', reason: null, at: 0 })
    .execute();
  await there.feed.poll();
  assert.deepEqual(there.told, ['ssh-key first', 'token far', 'token late']);
});

test('old rows go, positions go on', async (t) => {
  const [here, there] = await two(t);
  await here.db.transaction().execute(async (trx) => {
    for (let i = 0; i < 500; i += 1) await here.feed.record(trx, 1_000, key(String(i)));
  });
  await there.feed.poll();
  await there.feed.purge(1_000 + 25 * 3_600_000);
  const { count } = await here.db
    .selectFrom('changes')
    .select((row) => row.fn.countAll<number | string>().as('count'))
    .executeTakeFirstOrThrow();
  assert.ok(Number(count) > 0 && Number(count) < 300, String(count));
  await here.feed.record(here.db, 2_000, key('after'));
  await there.feed.poll();
  assert.equal(there.told.at(-1), 'ssh-key after');
});
