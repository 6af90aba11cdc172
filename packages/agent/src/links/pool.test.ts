import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TunnelError, type WelcomeInfo } from '@burrow/tunnel';
import {
  FakeChannel,
  FakeClock,
  FakeLink,
  fakeWelcome,
  memoryLog,
  settled,
} from '../testing-fakes.ts';
import { LinkPool, type PoolOptions } from './pool.ts';
import type { PoolLink } from './pool-link.ts';

interface Dialled {
  readonly handler: PoolLink;
  readonly link: FakeLink;
  readonly accept: (overrides?: Partial<WelcomeInfo>) => Promise<void>;
  readonly refuse: (error: TunnelError) => Promise<void>;
}

function setUp(overrides: Partial<PoolOptions> = {}) {
  const clock = new FakeClock();
  const log = memoryLog();
  const dials: Dialled[] = [];
  const fatal: TunnelError[] = [];
  const pool = new LinkPool({
    clock,
    log,
    random: () => 0.5,
    onChannel: () => {},
    onFatal: (error) => fatal.push(error),
    dial: (handler, signal) =>
      new Promise((resolve, reject) => {
        const link = new FakeLink();
        link.onClose = (error) => handler.onClose(error);
        signal.addEventListener('abort', () => reject(signal.reason as Error));
        dials.push({
          handler,
          link,
          accept: async (welcome) => {
            resolve({ link, welcome: fakeWelcome(welcome), transport: 'grpc' });
            await settled();
          },
          refuse: async (error) => {
            reject(error);
            await settled();
          },
        });
      }),
    ...overrides,
  });
  pool.start();
  const at = (index: number): Dialled => dials[index] ?? assert.fail(`no dial ${index}`);
  return { pool, clock, log, dials, fatal, at };
}

const lost = () => new TunnelError('link-lost', 'The connection was reset');

test('the first link is dialled at once, the second right after the first Welcome', async () => {
  const { pool, dials, at } = setUp();
  assert.equal(dials.length, 1);
  await at(0).accept();
  assert.equal(dials.length, 2);
  await at(1).accept();
  assert.equal(dials.length, 2);
  assert.equal(pool.live.length, 2);
});

test('the relay says how many links it wants, the configuration may say otherwise', async () => {
  const one = setUp();
  await one.at(0).accept({ minLinks: 1 });
  assert.equal(one.dials.length, 1);
  const three = setUp({ minLinks: 3 });
  for (let i = 0; i < 3; i++) await three.at(i).accept({ minLinks: 1 });
  assert.equal(three.dials.length, 3);
});

test('a relay that does not answer is dialled one at a time, with growing waits', async () => {
  const { dials, clock, log, at } = setUp();
  const waits: unknown[] = [];
  for (let i = 0; i < 4; i++) {
    await at(i).refuse(new TunnelError('unavailable', 'no route'));
    assert.equal(dials.length, i + 1);
    const wait = log.lines.at(-1)?.fields.retryInMs as number;
    waits.push(wait);
    await clock.advance(wait - 1);
    assert.equal(dials.length, i + 1);
    await clock.advance(1);
  }
  assert.deepEqual(waits, [500, 500, 500, 750]);
});

test('a lost link is dialled again soon, and its loss is logged with the reason', async () => {
  const { pool, dials, clock, log, at } = setUp();
  await at(0).accept();
  await at(1).accept();
  await clock.advance(60_000);
  at(0).link.close(lost());
  assert.equal(pool.live.length, 1);
  const line = log.lines.at(-1);
  assert.equal(line?.event, 'link-lost');
  assert.equal(line?.fields.message, 'The connection was reset');
  assert.equal(line?.fields.retryInMs, 250);
  await clock.advance(250);
  assert.equal(dials.length, 3);
});

test('two links lost together cost one wait, then both are dialled', async () => {
  const { pool, dials, clock, at } = setUp();
  await at(0).accept();
  await at(1).accept();
  await clock.advance(60_000);
  at(0).link.close(lost());
  at(1).link.close(lost());
  await clock.advance(250);
  assert.equal(dials.length, 3);
  await at(2).accept();
  await at(3).accept();
  assert.equal(pool.live.length, 2);
});

test('links that were just replaced, the others good for long: when all are lost the dial is soon', async () => {
  const { pool, dials, clock, log, at } = setUp({ random: () => 0.999 });
  await at(0).accept();
  await at(1).accept();
  // As while relays are replaced one after the other: losses, and links that are spread anew.
  for (let i = 0; i < 3; i++) {
    const [older, newer] = [at(2 * i), at(2 * i + 1)];
    await clock.advance(4_900);
    newer.link.close(lost());
    await clock.advance(log.lines.at(-1)?.fields.retryInMs as number);
    await at(2 * i + 2).accept();
    older.handler.onDrain(60_000, 'A relay has joined');
    await at(2 * i + 3).accept();
  }
  await clock.advance(1_000);
  for (const { link } of dials) link.close(lost());
  assert.equal(pool.live.length, 0);
  const before = dials.length;
  await clock.advance(500);
  assert.equal(dials.length, before + 1, 'not later than half a second');
});

test('a wait for one link more is none for who has lost all', async () => {
  const { dials, clock, at } = setUp({ random: () => 0.999, minLinks: 3 });
  await at(0).accept();
  await at(1).accept();
  for (let i = 2; i < 8; i++) {
    await at(i).refuse(new TunnelError('unavailable', 'no route'));
    if (i < 7) await clock.advance(20_000);
  }
  for (const i of [0, 1]) at(i).link.close(lost());
  await clock.advance(500);
  assert.equal(dials.length, 9);
});

test('nor for who is asked to leave all', async () => {
  const { dials, clock, at } = setUp({ minLinks: 3 });
  await at(0).accept();
  await at(1).accept();
  await clock.advance(10_000);
  await at(2).refuse(new TunnelError('unavailable', 'no route'));
  for (const i of [0, 1]) at(i).handler.onDrain(60_000, 'The relay restarts');
  assert.equal(dials.length, 4);
});

test('links that die young, all of them, make the waits grow', async () => {
  const { dials, clock, log, at } = setUp({ random: () => 0.999, minLinks: 1 });
  const waits: number[] = [];
  for (let i = 0; i < 5; i++) {
    await at(i).accept({ minLinks: 1 });
    await clock.advance(100);
    at(i).link.close(lost());
    waits.push(log.lines.at(-1)?.fields.retryInMs as number);
    await clock.advance(waits.at(-1)!);
  }
  assert.equal(dials.length, 6);
  assert.ok(waits.at(-1)! > 2_000, String(waits));
});

for (const code of ['token-unknown', 'token-revoked'] as const) {
  test(`${code} said by the relay is final; said by nobody else`, async () => {
    const { dials, clock, fatal, at } = setUp();
    await at(0).refuse(new TunnelError(code, 'no', { remote: false }));
    assert.equal(fatal.length, 0);
    await clock.advance(20_000);
    await at(1).refuse(new TunnelError(code, 'no', { remote: true }));
    assert.equal(fatal[0]?.code, code);
    await clock.advance(120_000);
    assert.equal(dials.length, 2);
    assert.equal(clock.pending, 0, 'no timer is left');
  });
}

test('expired tokens, draining and overloaded relays are retried', async () => {
  const { dials, clock, fatal, at } = setUp();
  let next = 0;
  for (const code of [
    'token-expired',
    'draining',
    'unavailable',
    'unsupported-revision',
  ] as const) {
    await at(next++).refuse(new TunnelError(code, 'later', { remote: true }));
    await clock.advance(20_000);
    assert.equal(dials.length, next + 1);
  }
  assert.equal(fatal.length, 0);
});

test('a token revoked while linked ends the pool', async () => {
  const { fatal, at } = setUp();
  await at(0).accept();
  await at(1).accept();
  at(0).link.close(new TunnelError('token-revoked', 'The workspace was deleted', { remote: true }));
  assert.equal(fatal.length, 1);
  assert.ok(at(1).link.closed);
});

test('a draining relay is replaced at once, its link closed when its channels are done', async () => {
  const { pool, dials, clock, at } = setUp();
  await at(0).accept();
  await at(1).accept();
  const old = at(0);
  old.link.stats = { ...old.link.stats, channels: 1 };
  old.handler.onDrain(60_000, 'The relay restarts');
  assert.equal(dials.length, 3);
  await at(2).accept();
  await clock.advance(20_000);
  assert.equal(old.link.closed, false, 'a channel still runs');
  old.link.stats = { ...old.link.stats, channels: 0 };
  await clock.advance(5000);
  assert.equal(old.link.closed, true);
  assert.equal(pool.live.length, 2);
  await clock.advance(60_000);
  assert.equal(dials.length, 3, 'no further dial for a link that left in order');
});

test('grows while bulk fills every link, shrinks after 60 s without need', async () => {
  const { pool, dials, clock, at } = setUp();
  await at(0).accept();
  await at(1).accept();
  for (const i of [0, 1]) at(i).link.stats = { ...at(i).link.stats, bulk: true, channels: 2 };
  at(0).handler.onChannel(new FakeChannel({ kind: 'tcp', port: 3000 }));
  assert.equal(dials.length, 3);
  await at(2).accept();
  assert.equal(pool.live.length, 3);
  for (const i of [0, 1]) at(i).link.stats = { ...at(i).link.stats, bulk: false, channels: 0 };
  await clock.advance(55_000);
  assert.equal(pool.live.length, 3);
  await clock.advance(20_000);
  assert.equal(pool.live.length, 2);
  await clock.advance(200_000);
  assert.equal(pool.live.length, 2, 'never under the minimum');
  assert.equal(dials.length, 3);
});

test('never more links than the relay allows', async () => {
  const { dials, clock, at } = setUp();
  await at(0).accept();
  for (let i = 1; i < 4; i++) {
    for (let j = 0; j < i; j++) at(j).link.stats = { ...at(j).link.stats, bulk: true, channels: 9 };
    if (i > 1) await clock.advance(5000);
    await at(i).accept();
  }
  at(3).link.stats = { ...at(3).link.stats, bulk: true, channels: 9 };
  await clock.advance(60_000);
  assert.equal(dials.length, 4);
});

test('links none of which answers: one more is dialled, also beyond the maximum, and takes the place of one', async () => {
  const { pool, dials, clock, at } = setUp({ maxLinks: 2 });
  await at(0).accept();
  await at(1).accept();
  at(0).link.stats = { ...at(0).link.stats, silent: true };
  await clock.advance(10_000);
  assert.equal(dials.length, 2, 'one answers');
  at(1).link.stats = { ...at(1).link.stats, silent: true };
  await clock.advance(5_000);
  assert.equal(dials.length, 3);
  await at(2).accept();
  at(2).link.stats = { ...at(2).link.stats, silent: true };
  await clock.advance(30_000);
  assert.equal(dials.length, 3, 'one and no more');
  at(0).link.close(new TunnelError('link-silent', 'No answer'));
  at(2).link.stats = { ...at(2).link.stats, silent: false };
  await clock.advance(30_000);
  assert.equal(dials.length, 3);
  assert.equal(pool.live.length, 2);
});

test('in a cluster it dials on, within bounds, until another relay answers', async () => {
  const { pool, dials, clock, at } = setUp();
  const first = { relayId: 'a', clusterSize: 2 };
  await at(0).accept(first);
  await at(1).accept(first);
  assert.equal(dials.length, 3, 'both links met the same relay');
  await at(2).accept(first);
  await at(3).accept({ relayId: 'b', clusterSize: 2 });
  assert.equal(dials.length, 4);
  await clock.advance(10_000);
  assert.equal(pool.live.length, 2);
  const left = [0, 1, 2, 3].filter((i) => !at(i).link.closed);
  assert.equal(left.length, 2);
  assert.ok(left.includes(3), 'the link to the other relay stays');

  const lonely = setUp();
  let i = 0;
  while (i < lonely.dials.length && i < 50) await lonely.at(i++).accept(first);
  assert.equal(lonely.dials.length, 2 + 5);
});

test('a relay that has enough links is not asked again for a minute', async () => {
  const { dials, clock, at } = setUp();
  await at(0).accept();
  await at(1).refuse(new TunnelError('too-many-links', 'enough', { remote: true }));
  await clock.advance(55_000);
  assert.equal(dials.length, 2);
  await clock.advance(10_000);
  assert.equal(dials.length, 3);
});

test('a link lost before its dial was reported is a loss like any other', async () => {
  const { pool, dials, clock, at } = setUp();
  const first = at(0);
  const accepted = first.accept();
  first.handler.onClose(lost());
  await accepted;
  assert.equal(pool.live.length, 0);
  await clock.advance(1000);
  assert.equal(dials.length, 2);
});

test('drain asks every link, dials no more; stop twice leaves no timer', async () => {
  const { pool, dials, clock, at } = setUp();
  await at(0).accept();
  await at(1).accept();
  pool.drain(30_000, 'The agent stops');
  assert.deepEqual([at(0).link.drains.length, at(1).link.drains.length], [1, 1]);
  at(0).link.close(lost());
  await clock.advance(10_000);
  assert.equal(dials.length, 2);
  pool.stop(new TunnelError('agent-gone', 'The agent was stopped'));
  pool.stop(new TunnelError('agent-gone', 'The agent was stopped'));
  assert.ok(at(1).link.closed);
  assert.equal(clock.pending, 0);
});
