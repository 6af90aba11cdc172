import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Link } from '@burrow/tunnel';
import { createRebalance } from './rebalance.ts';

function setUp(count: number, spreadMs = 20_000) {
  let now = 0;
  let relays = ['one'];
  const drained: string[] = [];
  const links = Array.from({ length: count }, (_, i) => {
    const link = {
      id: String(i),
      closed: false,
      draining: false,
      drain: () => {
        link.draining = true;
        drained.push(link.id);
      },
    };
    return link;
  });
  const rebalance = createRebalance({
    links: () => links as unknown as Link[],
    relays: async () => relays,
    spreadMs,
    log: { info() {} },
    now: () => now,
  });
  return {
    links,
    drained,
    rebalance,
    join: (...ids: string[]) => (relays = ids),
    pass: async (ms: number) => {
      for (const end = now + ms; now < end; now += 2_000) await rebalance.tick();
    },
  };
}

test('nothing moves while the cluster stays as it is, or shrinks', async () => {
  const { drained, pass, join } = setUp(100);
  join('one', 'two');
  await pass(10_000);
  join('one');
  await pass(60_000);
  assert.deepEqual(drained, []);
});

test('after a relay has joined, every link is asked once, spread over the time', async () => {
  const { drained, pass, join } = setUp(100);
  await pass(2_000);
  join('one', 'two');
  await pass(2_000);
  assert.ok(drained.length >= 8 && drained.length <= 12, `${drained.length} at once`);
  await pass(40_000);
  assert.equal(new Set(drained).size, 100);
  assert.equal(drained.length, 100);
});

test('a relay that comes back as another run counts as joined; closed links are left alone', async () => {
  const { drained, links, pass, join } = setUp(10);
  join('one', 'two');
  await pass(2_000);
  join('one', 'two again');
  links[3]!.closed = true;
  await pass(60_000);
  assert.equal(drained.length, 9);
});

test('0 turns it off', async () => {
  const { drained, pass, join } = setUp(10, 0);
  await pass(2_000);
  join('one', 'two');
  await pass(60_000);
  assert.deepEqual(drained, []);
});
