import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Link } from '@burrow/tunnel';
import { Recorder } from '@burrow/tunnel/testing';
import { channelsOn } from '@burrow/tunnel/trace';
import { OPEN } from '../peers/testing.ts';
import { channelRows, channelRowsOf } from './rows.ts';
import { testPlaces } from './testing.ts';

async function opened(link: Link, over = {}): Promise<Recorder> {
  const recorder = new Recorder();
  recorder.channel = link.open({ ...OPEN, ...over }, recorder);
  await recorder.until(({ opened: is }) => is);
  return recorder;
}

test('both attachments of a channel are one row', async (t) => {
  const places = testPlaces(t);
  const link = await places.client(await places.agent('a1'), 'a1');
  const { channel } = await opened(link);
  channel!.write(Buffer.alloc(7));
  await places.atAgent[0]!.until(({ bytes }) => bytes === 7);
  const answer = channelRowsOf(places, { limit: 10 }, 100);
  assert.equal(answer.more, false);
  const [{ ageMs, ...row }] = answer.rows as [(typeof answer.rows)[0]];
  assert.ok(ageMs >= 0);
  assert.deepEqual(row, {
    ...{ id: channel!.uid, agentId: 'a1', user: 'ann', kind: 'client', target: 'tcp 3000' },
    ...{ edge: true, home: true, bytesToWorkload: 7, bytesToUser: 0, state: 'open' },
    attachments: 1,
  });
  assert.deepEqual(channelRows.parse(answer), answer);
});

test('whom this relay opened channels for is told by how it opened them', async (t) => {
  const places = testPlaces(t);
  const agent = await places.agent('a1');
  await opened(agent);
  await opened(agent, { traffic: 'interactive' });
  const { rows } = channelRowsOf(places, { limit: 10 }, 100);
  assert.ok(rows.every(({ edge }) => edge));
  assert.deepEqual(new Set(rows.map(({ kind }) => kind)), new Set(['http', 'websocket']));
});

test('digits, an agent and a number choose among them; what is left out is said', async (t) => {
  const places = testPlaces(t);
  const [one, two] = [await places.agent('a1'), await places.agent('a2')];
  const channels = [await opened(one), await opened(two), await opened(two)];
  const { uid } = channels[1]!.channel!;
  const ids = (query: object, scanned = 100) => {
    const { rows, more } = channelRowsOf(places, { limit: 10, ...query }, scanned);
    return { ids: rows.map(({ id }) => id), more };
  };
  assert.deepEqual(ids({ prefix: uid.slice(0, 12) }), { ids: [uid], more: false });
  assert.deepEqual(ids({ agentId: 'a1' }).ids, [channels[0]!.channel!.uid]);
  assert.equal(ids({ agentId: 'a2' }).ids.length, 2);
  const few = ids({ limit: 2 });
  assert.deepEqual([few.ids.length, few.more], [2, true]);
  const seen = ids({}, 1);
  assert.deepEqual([seen.ids.length, seen.more], [1, true]);
});

test('a channel between two links is listed as detached', async (t) => {
  const places = testPlaces(t);
  const agent = await places.agent('a1');
  const { channel } = await opened(agent);
  const [view] = [...channelsOn(agent)];
  const between = { links: () => [], detached: () => [[view!, 'a1'] as const] };
  const [row] = channelRowsOf(between, { limit: 10 }, 100).rows;
  assert.deepEqual(
    [row?.id, row?.state, row?.edge, row?.home],
    [channel!.uid, 'detached', true, false],
  );
});

test('the youngest are told, wherever they stand among the others, with both ends', async (t) => {
  const places = testPlaces(t);
  const agent = await places.agent('a1');
  const client = await places.client(agent, 'a1');
  for (let i = 0; i < 5; i += 1) await opened(client);
  const [view] = [...channelsOn(agent)];
  const aged = (digit: string, ageMs: number) =>
    [{ ...view!, uid: digit.repeat(32), ageMs }, 'a1'] as const;
  const older = [aged('c', 70_000), aged('b', 60_000), aged('d', 90_000)];
  const all = { links: () => places.links(), detached: () => older };
  const [newest, ...others] = channelRowsOf(all, { limit: 7 }, 100).rows;
  assert.deepEqual([newest!.edge, newest!.home], [true, true]);
  assert.deepEqual(
    others.slice(-2).map(({ id }) => id[0]),
    ['b', 'c'],
  );
  const few = channelRowsOf(all, { limit: 2 }, 100);
  assert.ok(few.rows.every(({ edge, home }) => edge && home));
  const young = { links: () => places.links(), detached: () => [...older, aged('e', -1)] };
  const one = channelRowsOf(young, { limit: 1 }, 100);
  assert.deepEqual([one.rows.map(({ id }) => id[0]), one.more], [['e'], true]);
  assert.equal(channelRowsOf(young, { limit: 2 }, 9).rows.length, 2);
});
