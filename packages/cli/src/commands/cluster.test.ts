import assert from 'node:assert/strict';
import { test } from 'node:test';
import { channelRowOf, rowOf } from './cluster.ts';

const RELAY = {
  id: 'relay-1',
  incarnation: 'abcdef0123456789abcdef0123456789',
  version: '1.2.3',
  self: true,
  stats: {
    url: 'https://burrow.example',
    uptimeSeconds: 93_784,
    state: 'ready' as const,
    agents: 3,
    links: 6,
    channels: 9,
    peerLinks: { in: 1, out: 2 },
    drain: null,
  },
  problem: null,
};

test('a relay is one row, and the one that answered is marked', () => {
  assert.deepEqual(rowOf(RELAY), [
    ...['relay-1 *', 'abcdef01', '1.2.3', 'ready', '1d 2h', '3', '6', '9'],
    ...['1 in, 2 out', 'https://burrow.example'],
  ]);
});

test('a drain shows what is left of it', () => {
  const stats = {
    ...RELAY.stats,
    state: 'draining' as const,
    uptimeSeconds: 61,
    drain: { busy: 4, secondsLeft: 8 },
  };
  const row = rowOf({ ...RELAY, self: false, stats });
  assert.deepEqual([row[0], row[3], row[4]], ['relay-1', 'draining, 4 left, 8 s', '1m 1s']);
});

test('a relay that does not answer has no numbers', () => {
  const row = rowOf({ ...RELAY, self: false, stats: null, problem: 'gone' });
  assert.equal(row[3], 'no answer');
  assert.equal(row.length, rowOf(RELAY).length);
});

test('a channel is one row; what is not known is a dash', () => {
  const channel = {
    ...{ id: 'ee941bdc27951033e0eab9478321c666', workspace: 'demo', user: 'ann' },
    ...{ kind: 'http' as const, target: 'tcp 3000', edge: 'relay-2', home: 'relay-1' },
    ...{ ageSeconds: 61, bytesToWorkload: 268, bytesToUser: 909, state: 'open' as const },
    attachments: 2,
  };
  assert.deepEqual(channelRowOf(channel), [
    ...['ee941bdc', 'demo', 'ann', 'http', 'tcp 3000', 'relay-2', 'relay-1', '1m 1s'],
    ...['268', '909', '2', 'open'],
  ]);
  const lost = { ...channel, workspace: null, kind: null, target: null, edge: null, home: null };
  assert.deepEqual(channelRowOf(lost).slice(1, 7), ['-', 'ann', '-', '-', '-', '-']);
});
