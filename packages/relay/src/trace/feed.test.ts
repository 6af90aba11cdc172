import assert from 'node:assert/strict';
import { test } from 'node:test';
import { traceEventSchema, type TraceEvent } from '@burrow/api';
import { Recorder } from '@burrow/tunnel/testing';
import { OPEN } from '../peers/testing.ts';
import { openFeed } from './feed.ts';
import { testPlaces, type TestPlaces } from './testing.ts';

/** `→ agent Data 0+5`, `over nothing-listens` */
function lineOf(event: TraceEvent): string {
  if (event.event === 'frame') {
    const arrow = event.direction === 'sent' ? '→' : '←';
    const bytes = event.length === undefined ? '' : ` ${event.offset}+${event.length}`;
    return `${arrow} ${event.with} ${event.frame}${bytes}`;
  }
  if (event.event === 'detached') return `detached ${event.with} ${event.code}`;
  return event.event === 'over' ? `over ${event.code}` : event.event;
}

function feedOf(places: TestPlaces, uid: string, data = true) {
  const events: TraceEvent[] = [];
  const stop = openFeed({ uid, relay: 'r1', places, data, tell: (event) => events.push(event) });
  return { events, stop };
}

test('a channel of a client: what is there, each frame, and how it ended', async (t) => {
  const places = testPlaces(t);
  const link = await places.client(await places.agent('a1'), 'a1');
  const recorder = new Recorder();
  const channel = (recorder.channel = link.open(OPEN, recorder));
  await recorder.until(({ opened }) => opened);
  const { events, stop } = feedOf(places, channel.uid);
  channel.write(Buffer.from('secret'));
  await places.atAgent[0]!.until(({ bytes }) => bytes === 6);
  places.atAgent[0]!.channel!.reset('nothing-listens', 'Nothing listens.');
  await recorder.until(({ closed }) => closed);
  stop();
  const [watching, ...rest] = events;
  assert.ok(watching?.event === 'watching');
  assert.equal(watching.channel, channel.uid);
  assert.deepEqual(
    watching.attachments.map(({ with: far, epoch, state }) => [far, epoch, state]),
    [
      ['agent', 1, 'open'],
      ['client', 1, 'open'],
    ],
  );
  assert.deepEqual(rest.map(lineOf), [
    '← client Data 0+6',
    '→ agent Data 0+6',
    '← agent Reset',
    'detached agent nothing-listens',
    'detached client nothing-listens',
    'over nothing-listens',
    '→ client Reset',
  ]);
  for (const event of events) assert.deepEqual(traceEventSchema.parse(event), event);
  assert.doesNotMatch(JSON.stringify(events), /secret|c2VjcmV0/);
});

test('between two relays nothing is over: the relay where the user came in says so', async (t) => {
  const places = testPlaces(t);
  const link = await places.client(await places.agent('a1'), 'a1');
  for (const [each, place] of places.table) {
    if (place.kind === 'client') places.table.set(each, { kind: 'relay', id: 'edge' });
  }
  const recorder = new Recorder();
  const channel = (recorder.channel = link.open(OPEN, recorder));
  await recorder.until(({ opened }) => opened);
  const { events, stop } = feedOf(places, channel.uid);
  channel.reset('cancelled', 'The user has left.');
  await places.atAgent[0]!.until(({ closed }) => closed);
  stop();
  assert.ok(events.some((event) => lineOf(event) === 'detached relay edge cancelled'));
  assert.ok(!events.some(({ event }) => event === 'over'));
});

test('without data only what says where it goes', async (t) => {
  const places = testPlaces(t);
  const link = await places.client(await places.agent('a1'), 'a1');
  const recorder = new Recorder();
  const channel = (recorder.channel = link.open(OPEN, recorder));
  await recorder.until(({ opened }) => opened);
  const { events, stop } = feedOf(places, channel.uid, false);
  channel.write(Buffer.alloc(300_000));
  channel.end();
  await places.atAgent[0]!.until(({ bytes }) => bytes === 300_000);
  places.atAgent[0]!.channel!.end();
  await recorder.until(({ closed }) => closed);
  stop();
  const lines = events.map(lineOf);
  assert.ok(lines.includes('→ agent Fin'), lines.join(', '));
  assert.ok(lines.includes('← agent Fin'));
  assert.ok(!lines.some((line) => /Data|Credit/.test(line)), lines.join(', '));
});
