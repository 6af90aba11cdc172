import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Link } from '@burrow/tunnel';
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
