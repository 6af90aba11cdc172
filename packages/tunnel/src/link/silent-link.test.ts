// A link that owes an answer: asked for one soon, silent when none comes, and as before when one does.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { test } from 'node:test';
import {
  LIVENESS_GRAIN_MS,
  PROBE_AFTER_MS,
  SILENT_AFTER_MS,
  SILENT_ROUND_TRIPS,
} from '../limits.ts';
import { linkPair, Recorder, type LinkPair } from '../testing/index.ts';
import type { Channel, Resumer } from '../types.ts';
import type { LinkCore } from './link.ts';
import { checkAll, unwatch, watch } from './liveness.ts';

const OPEN = {
  target: { kind: 'tcp', port: 22 },
  principal: { userId: 'u', username: 'ann' },
} as const;

/** An opener, and an agent that can be cut off: what is said to it is lost until `hear`. */
async function stand() {
  const taken: Channel[] = [];
  const pair: LinkPair = await linkPair({
    dialler: {
      onChannel(channel) {
        taken.push(channel);
        channel.setHandler(new Recorder());
        channel.accept();
      },
      onClose() {},
    },
  });
  let silences = 0;
  const resumer: Resumer = { onDetached() {}, onSilent: () => void silences++ };
  const recorder = new Recorder();
  recorder.channel = pair.acceptor.open({ ...OPEN, resumer }, recorder);
  await recorder.until((r) => r.opened);
  const [, out] = pair.transports;
  const pass = out.filter;
  let sent = 0;
  out.filter = (bytes) => (sent++, pass(bytes));
  return {
    ...{ taken, recorder },
    link: pair.acceptor as LinkCore,
    get silences() {
      return silences;
    },
    get sent() {
      return sent;
    },
    deafen: () => void (out.filter = () => []),
    hear: () => void (out.filter = pass),
  };
}

const turns = async (): Promise<void> => {
  for (let i = 0; i < 10; i++) await new Promise((resolve) => setImmediate(resolve));
};

/** Sums of fractions are rounded: a second later would at times be less than a second. */
const wholeMs = (): number => Math.ceil(performance.now());

test('what was said and is not answered: first a question, then the link is silent, until something comes', async () => {
  const at = await stand();
  await turns();
  at.deafen();
  at.recorder.channel!.write(Buffer.from('x'));
  await turns();
  const said = wholeMs();
  const roundTrips = SILENT_ROUND_TRIPS * at.link.rttEstimateMs;
  const patience = Math.ceil(Math.max(SILENT_AFTER_MS, roundTrips));
  at.link.check(said + PROBE_AFTER_MS);
  assert.equal(at.link.stats.silent, false, 'only asked');
  at.link.check(said + PROBE_AFTER_MS + patience - 50);
  assert.equal(at.link.stats.silent, false);
  at.link.check(said + PROBE_AFTER_MS + patience);
  assert.equal(at.link.stats.silent, true);
  assert.equal(at.silences, 1);
  at.link.check(said + PROBE_AFTER_MS + patience + 500);
  assert.equal(at.silences, 2, 'said again while it lasts');
  assert.equal(at.link.closed, false, 'liveness decides about that, later');
  at.taken[0]!.write(Buffer.from('back'));
  await at.recorder.until((r) => r.bytes === 4);
  assert.equal(at.link.stats.silent, false);
  at.link.check(performance.now());
  assert.equal(at.silences, 2);
});

test('a question that is answered ends the doubt', async () => {
  const at = await stand();
  at.deafen();
  at.recorder.channel!.write(Buffer.from('x'));
  await turns();
  at.hear();
  const said = wholeMs();
  at.link.check(said + PROBE_AFTER_MS);
  await turns();
  at.link.check(said + PROBE_AFTER_MS + 3 * SILENT_AFTER_MS);
  assert.equal(at.link.stats.silent, false);
});

test('a link on which nothing was said is asked nothing before its time, and answers ask for none', async () => {
  const at = await stand();
  // The last Credits of the opening leave, and are followed by one question at most.
  at.link.check(performance.now() + PROBE_AFTER_MS);
  await turns();
  const before = at.sent;
  const now = performance.now();
  for (let ms = 0; ms <= 7_000; ms += 500) at.link.check(now + ms);
  await turns();
  assert.equal(at.sent, before);
  assert.equal(at.link.stats.silent, false);
});

test('a process that stood still reads what came meanwhile before it judges', () => {
  const rounds: number[] = [];
  const watched = { check: (now: number) => void rounds.push(now) };
  watch(watched);
  const now = wholeMs() + 100_000;
  checkAll(now);
  checkAll(now + 500);
  checkAll(now + 1_000);
  checkAll(now + 11_000);
  checkAll(now + 11_500);
  unwatch(watched);
  assert.deepEqual(
    rounds.map((at) => at - now),
    [500, 1_000, 11_500],
  );
});

test('a process that was busy for longer than a look takes reads the answers first', async (t) => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const near = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const [far] = (await once(server, 'connection')) as [Socket];
  t.after(() => (near.destroy(), far.destroy(), server.close()));
  checkAll(performance.now());
  const events: string[] = [];
  near.on('data', () => void events.push('read'));
  await new Promise<void>((resolve) => {
    const watched = { check: () => (events.push('judged'), unwatch(watched), resolve()) };
    watch(watched);
    setImmediate(() => {
      far.write('Pong');
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LIVENESS_GRAIN_MS + 100);
    });
  });
  assert.deepEqual(events, ['read', 'judged']);
});
