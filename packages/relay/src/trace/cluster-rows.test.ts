import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RelayInfo } from '../routing/registry.ts';
import { channelOf, clusterRows } from './cluster-rows.ts';
import type { OtherRelays } from './contracts.ts';
import type { ChannelRow, ChannelRows } from './rows.ts';

const ROW: ChannelRow = {
  ...{ id: 'ab'.repeat(16), agentId: '', user: 'ann', kind: null, target: null },
  ...{ edge: false, home: false, ageMs: 1_500, bytesToWorkload: 5, bytesToUser: 9 },
  ...{ state: 'open', attachments: 2 },
};
const relay = (id: string): RelayInfo => ({
  ...{ id, incarnation: id, version: '1', peerUrl: 'http://peer' },
});

const others = (answers: Record<string, ChannelRows | Error>): OtherRelays => ({
  relays: async () => Object.keys(answers).map(relay),
  async channels({ id }) {
    const answer = answers[id]!;
    if (answer instanceof Error) throw answer;
    return answer;
  },
  trace: () => Promise.reject(new Error('not asked')),
});

const deps = { self: 'home', relays: 500, withinMs: 1_000 };
const own = (rows: ChannelRow[]) => (): ChannelRows => ({ rows, more: false });

test('what two relays say of a channel is one row; where the user comes in, they know best', async () => {
  const atHome = { ...ROW, agentId: 'a1', target: 'tcp 3000', home: true, bytesToUser: 12 };
  const atEdge = { ...ROW, kind: 'http' as const, edge: true, state: 'half-closed' as const };
  const found = await clusterRows(
    { ...deps, own: own([atHome]), others: others({ edge: { rows: [atEdge], more: true } }) },
    { limit: 10 },
  );
  assert.deepEqual([found.rows.length, found.more, found.problems], [1, true, []]);
  assert.deepEqual(channelOf(found.rows[0]!, 'demo'), {
    ...{ id: ROW.id, workspace: 'demo', user: 'ann', kind: 'http', target: 'tcp 3000' },
    ...{ edge: 'edge', home: 'home', ageSeconds: 1, bytesToWorkload: 5, bytesToUser: 12 },
    ...{ state: 'half-closed', attachments: 2 },
  });
});

test('the youngest come first; who does not answer is named', async () => {
  const young = { ...ROW, id: 'cd'.repeat(16), ageMs: 3 };
  const found = await clusterRows(
    { ...deps, own: own([ROW, young]), others: others({ far: new Error('It sleeps.') }) },
    { limit: 10 },
  );
  assert.deepEqual(
    found.rows.map(({ id }) => id.slice(0, 2)),
    ['cd', 'ab'],
  );
  assert.deepEqual(found.problems, [{ relay: 'far', problem: 'It sleeps.' }]);
});

test('without the registry this relay answers for itself, and says so', async () => {
  const away = { ...others({}), relays: () => Promise.reject(new Error('Redis is away.')) };
  const found = await clusterRows({ ...deps, own: own([ROW]), others: away }, { limit: 10 });
  assert.deepEqual([found.rows.length, found.problems[0]?.problem], [1, 'Redis is away.']);
});

test('a registry that does not answer holds nobody up for longer than the whole may take', async () => {
  const mute = { ...others({}), relays: () => new Promise<never>(() => {}) };
  const found = await clusterRows(
    { ...deps, withinMs: 5, own: own([ROW]), others: mute },
    { limit: 10 },
  );
  assert.deepEqual([found.rows.length, found.problems[0]?.relay], [1, '*']);
  assert.match(found.problems[0]!.problem, /registry did not say within 5 ms/);
});
