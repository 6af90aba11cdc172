import assert from 'node:assert/strict';
import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { test, type TestContext } from 'node:test';
import type { TraceEvent } from '@burrow/api';
import { RelayError } from '../errors.ts';
import type { FeedRequest, PeerAnswers } from '../trace/contracts.ts';
import type { ChannelRow, RowsQuery } from '../trace/rows.ts';
import { testRelay, type TestRelay } from './testing.ts';

const UID = 'ab'.repeat(16);
const ROW: ChannelRow = {
  ...{ id: UID, agentId: 'a1', user: 'ann', kind: null, target: null, edge: false, home: true },
  ...{ ageMs: 1, bytesToWorkload: 0, bytesToUser: 0, state: 'open', attachments: 1 },
};
const away = (reason: string): TraceEvent => ({
  ...{ event: 'away', at: '2026-01-01T00:00:00.000Z', relay: 'home', reason },
});
const soon = (): AbortSignal => AbortSignal.timeout(5_000);

/** Two relays, and what the second is asked by the first. */
async function pair(t: TestContext, over: Partial<PeerAnswers> = {}) {
  const lines = new PassThrough();
  const asked: (RowsQuery | FeedRequest)[] = [];
  const answers: PeerAnswers = {
    channels(query) {
      asked.push(query);
      return { rows: [ROW], more: true };
    },
    feed(what) {
      asked.push(what);
      return lines;
    },
    ...over,
  };
  const [edge, home] = await Promise.all([
    testRelay(t, 'edge'),
    testRelay(t, 'home', { channels: () => answers }),
  ]);
  return { edge, home, lines, asked };
}

/** What is heard of a trace, and how it ends. */
function hear(edge: TestRelay, home: TestRelay, signal = soon()) {
  const heard: TraceEvent[] = [];
  const first = Promise.withResolvers<void>();
  const tell = (event: TraceEvent): void => {
    heard.push(event);
    first.resolve();
  };
  const ended = edge.peers.trace(home.info, { uid: UID, data: false }, tell, signal);
  ended.catch(() => {});
  return { heard, first: first.promise, ended };
}

test('a member is told the channels that it asks for', async (t) => {
  const { edge, home, asked } = await pair(t);
  const query = { prefix: 'abab', agentId: 'a1', limit: 7 };
  assert.deepEqual(await edge.peers.channels(home.info, query, soon()), {
    ...{ rows: [ROW], more: true },
  });
  assert.deepEqual(asked, [query]);
  const other = await testRelay(t, 'other', { secrets: ['x'.repeat(32)] });
  await assert.rejects(other.peers.channels(home.info, query, soon()), /did not answer/);
});

test('a member hears what happens to a channel, until the other relay ends it', async (t) => {
  const { edge, home, lines, asked } = await pair(t);
  const { heard, first, ended } = hear(edge, home);
  // Empty lines, and what a later relay might say, are passed over.
  lines.write(`\n{"event":"unheard-of"}\nno json\n${JSON.stringify(away('one'))}\n`);
  await first;
  assert.deepEqual(asked, [{ uid: UID, data: false }]);
  lines.end(`${JSON.stringify(away('two'))}\n`);
  await assert.rejects(ended, /“home” does not tell any more/);
  assert.deepEqual(heard, [away('one'), away('two')]);
});

test('one that has heard enough is told nothing more', async (t) => {
  const { edge, home, lines } = await pair(t);
  const leaves = new AbortController();
  const { first, ended } = hear(edge, home, leaves.signal);
  lines.write(`${JSON.stringify(away('one'))}\n`);
  await first;
  leaves.abort(new Error('The watcher has left.'));
  await assert.rejects(ended, /watcher has left/);
  await once(lines, 'close');
});

test('a relay that refuses, or goes, is told by name', async (t) => {
  const full = await pair(t, {
    feed() {
      throw new RelayError('too-many-requests', 'It tells of 64 channels already.');
    },
  });
  await assert.rejects(hear(full.edge, full.home).ended, {
    code: 'unavailable',
    message: 'The relay “home” does not tell: It tells of 64 channels already.',
  });
  const { edge, home, lines } = await pair(t);
  const { first, ended } = hear(edge, home);
  lines.write(`${JSON.stringify(away('one'))}\n`);
  await first;
  await home.peers.stop();
  await assert.rejects(ended, /“home” does not tell any more/);
});
