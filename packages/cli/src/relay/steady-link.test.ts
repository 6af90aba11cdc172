import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Link, Resumable } from '@burrow/tunnel';
import { SteadyLink } from './steady-link.ts';

interface TestLink extends Link {
  closed: boolean;
  readonly stats: Link['stats'] & { silent: boolean; channels: number };
}

function testLink(id: string): TestLink {
  const stats = { silent: false, channels: 0 } as Link['stats'];
  const link = { id, closed: false, draining: false, stats } as TestLink;
  link.close = () => void (link.closed = true);
  return link;
}

test('the first dial gets company too when its relay stands still', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  let dials = 0;
  const opened = SteadyLink.open(async () => {
    dials += 1;
    return dials === 1 ? new Promise<never>(() => {}) : testLink('second');
  });
  t.mock.timers.tick(1_500);
  assert.equal((await opened).link.id, 'second');
});

test('a link that was silent and came back is closed once its last channel ends', async () => {
  const [first, second] = [testLink('first'), testLink('second')];
  const dials = [first, second];
  const steady = await SteadyLink.open(async () => dials.shift()!);
  Object.assign(first.stats, { silent: true, channels: 2 });
  assert.equal(await steady.usable(), second);
  first.stats.silent = false;
  const ends = async (left: number) => {
    first.stats.channels = left;
    steady.resumer.onOver!({} as Resumable);
    await new Promise((resolve) => setImmediate(resolve));
  };
  await ends(1);
  assert.equal(first.closed, false, 'it carries another');
  await ends(0);
  assert.equal(first.closed, true);
  assert.equal(second.closed, false);
});
