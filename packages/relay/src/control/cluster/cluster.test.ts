import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { testControl } from '../testing.ts';

const ALONE = {
  relays: [
    {
      id: 'r1',
      incarnation: 'ab'.repeat(16),
      version: '1',
      self: true,
      stats: {
        url: 'http://localhost',
        uptimeSeconds: 5,
        state: 'ready' as const,
        agents: 1,
        links: 2,
        channels: 3,
        peerLinks: { in: 0, out: 0 },
        drain: null,
      },
      problem: null,
    },
  ],
  problem: null,
};

describe('GET /cluster', () => {
  it('shows an administrator the relays', async () => {
    await using t = await testControl({ cluster: async () => ALONE });
    const { status, body } = await t.call(t.root, 'GET', '/cluster');
    assert.equal(status, 200);
    assert.deepEqual(body, ALONE);
  });

  it('is for administrators', async () => {
    await using t = await testControl();
    assert.equal((await t.call(t.alice, 'GET', '/cluster')).status, 403);
    assert.equal((await t.call(undefined, 'GET', '/cluster')).status, 401);
  });
});
