import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { generateHostKey } from '@burrow/ssh';
import type { Database } from '../db/database.ts';
import { openSharedTestDatabase } from '../db/testing.ts';
import { createClusterKeys } from './cluster-keys.ts';
import { createSealer } from './seal.ts';

const OLD = 'the old secret of this cluster, 32 bytes or more';
const NEW = 'the new secret of this cluster, 32 bytes or more';

async function shared(t: TestContext, count: number) {
  const folder = mkdtempSync(join(tmpdir(), 'burrow-keys-'));
  const open = await openSharedTestDatabase(join(folder, 'relay.sqlite'));
  const databases: Database[] = [];
  for (let i = 0; i < count; i += 1) databases.push(await open());
  t.after(async () => {
    await Promise.all(databases.map((each) => each.close()));
    rmSync(folder, { recursive: true });
  });
  return databases.map((database) => ({
    database,
    keys: (...secrets: string[]) => createClusterKeys(database.kysely, createSealer(secrets)),
  }));
}

test('relays that start at the same moment have one key of each purpose', async (t) => {
  const relays = await shared(t, 4);
  const sets = await Promise.all(relays.map(({ keys }) => keys(OLD).load('ssh-host')));
  assert.equal(new Set(sets.map(({ current }) => current.publicLine)).size, 1);
  const ca = await relays[0]!.keys(OLD).load('ssh-user-ca');
  assert.notEqual(ca.current.publicLine, sets[0]!.current.publicLine);
});

test('a key that is there already is taken over by the first, and by no other', async (t) => {
  const [one, two] = await shared(t, 2);
  const before = generateHostKey();
  const made = await one!.keys(OLD).load('ssh-host', async () => before);
  assert.deepEqual(made.current, before);
  const there = await two!.keys(OLD).load('ssh-host', async () => generateHostKey());
  assert.deepEqual(there.current, before);
});

test('at rest there is nothing to read, and nothing that can be moved or changed', async (t) => {
  const [relay] = await shared(t, 1);
  const db = relay!.database.kysely;
  const keys = relay!.keys(OLD);
  const { current } = await keys.load('ssh-host');
  const row = () => db.selectFrom('cluster_keys').selectAll().executeTakeFirstOrThrow();
  const kept = await row();
  const secret = current.privateKey.split('\n').slice(1, -2).join('');
  assert.ok(!JSON.stringify(kept).includes(secret.slice(70, 140)));
  assert.match(kept.sealed, /^v1\.[\w-]{8}\.[\w-]{16}\.[\w-]+$/);
  await assert.rejects(relay!.keys(NEW).load('ssh-host'), {
    code: 'config-invalid',
    message: /another cluster\.secret/,
  });
  const parts = kept.sealed.split('.');
  const body = Buffer.from(parts[3]!, 'base64url');
  body[10]! ^= 1;
  const forged = [...parts.slice(0, 3), body.toString('base64url')].join('.');
  for (const change of [
    { sealed: forged },
    { sealed: 'v1.x' },
    { purpose: 'ssh-user-ca' as const },
    { public_line: generateHostKey().publicLine },
  ]) {
    await db.updateTable('cluster_keys').set(change).execute();
    await assert.rejects(keys.load(change.purpose ?? 'ssh-host'), { code: 'config-invalid' });
    await db.updateTable('cluster_keys').set(kept).execute();
  }
  assert.deepEqual((await keys.load('ssh-host')).current, current);
});

test('the secret is replaced in steps, of which each can be taken relay by relay', async (t) => {
  const [one, two] = await shared(t, 2);
  const { current } = await one!.keys(OLD).load('ssh-host');
  // Each step on both, one after the other; in between, the one that is behind starts again.
  for (const [relay, ...secrets] of [
    [one!, OLD, NEW],
    [two!, OLD],
    [two!, OLD, NEW],
    [one!, NEW, OLD],
    [two!, OLD, NEW],
    [two!, NEW, OLD],
    [one!, NEW],
    [two!, NEW, OLD],
    [two!, NEW],
  ] as const) {
    assert.deepEqual((await relay.keys(...secrets).load('ssh-host')).current, current);
  }
  await assert.rejects(two!.keys(OLD).load('ssh-host'), { code: 'config-invalid' });
});

test('a key is replaced in two steps; of two who do one at once, one is told', async (t) => {
  const [one, two] = await shared(t, 2);
  const [here, there] = [one!.keys(OLD), two!.keys(OLD)];
  const { current } = await here.load('ssh-host');
  await assert.rejects(here.activate('ssh-host'), { code: 'conflict' });
  const rotated = await Promise.allSettled([here.rotate('ssh-host'), there.rotate('ssh-host')]);
  assert.deepEqual(rotated.map(({ status }) => status).toSorted(), ['fulfilled', 'rejected']);
  const { next } = await there.load('ssh-host');
  assert.deepEqual(await here.load('ssh-host'), { current, next });
  assert.deepEqual(
    (await here.list()).map(({ slot, fingerprint }) => [slot, fingerprint]),
    [
      ['current', current.fingerprint],
      ['next', next?.fingerprint],
    ],
  );
  assert.deepEqual(await there.activate('ssh-host'), next);
  assert.deepEqual(await here.load('ssh-host'), { current: next, next: undefined });
  await here.rotate('ssh-host');
  assert.deepEqual([await here.cancel('ssh-host'), await here.cancel('ssh-host')], [true, false]);
});
