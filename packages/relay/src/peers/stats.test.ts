import assert from 'node:assert/strict';
import { connect } from 'node:http2';
import { test } from 'node:test';
import { testRelay } from './testing.ts';

const soon = (): AbortSignal => AbortSignal.timeout(5_000);

test('a member is told the numbers of another; they are fresh', async (t) => {
  const [edge, home] = await Promise.all([testRelay(t, 'edge'), testRelay(t, 'home')]);
  assert.deepEqual((await edge.peers.stats(home.info, soon())).peerLinks, { in: 0, out: 0 });
  await edge.link(home);
  await home.connectAgent('a1');
  const stats = await edge.peers.stats(home.info, soon());
  assert.deepEqual([stats.id, stats.agents, stats.peerLinks.in], ['home', 1, 1]);
});

test('nobody else is', async (t) => {
  const home = await testRelay(t, 'home');
  for (const [path, status] of [
    ['/stats', 401],
    ['/', 404],
    ['/challenge', 200],
  ] as const) {
    assert.equal(await get(home.info.peerUrl, path), status);
  }
  assert.deepEqual(home.refusals, ['malformed']);
  const other = await testRelay(t, 'edge', { secrets: ['x'.repeat(32)] });
  await assert.rejects(other.peers.stats(home.info, soon()), /did not answer/);
});

test('a relay that is gone is told by name', async (t) => {
  const [edge, home] = await Promise.all([testRelay(t, 'edge'), testRelay(t, 'home')]);
  await home.peers.stop();
  await assert.rejects(edge.peers.stats(home.info, soon()), /ECONNREFUSED/);
});

async function get(url: string, path: string): Promise<number> {
  const session = connect(url);
  try {
    return await new Promise((resolve, reject) => {
      session.on('error', reject);
      const stream = session.request({ ':path': path });
      stream.on('response', (headers) => resolve(Number(headers[':status'])));
      stream.on('error', reject);
      stream.resume();
    });
  } finally {
    session.destroy();
  }
}
