import assert from 'node:assert/strict';
import { connect } from 'node:http2';
import { test } from 'node:test';
import { clusterStatus } from './status.ts';
import { testRelay, type TestRelay } from './testing.ts';

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

test('the status of the cluster lists who answers, and who does not with the reason', async (t) => {
  const relays = await Promise.all(['c', 'a', 'b'].map((id) => testRelay(t, id)));
  const [edge, home, dead] = relays as [TestRelay, TestRelay, TestRelay];
  await home.connectAgent('a1');
  await dead.peers.stop();
  const own = { ...(await home.peers.stats(edge.info, soon())), agents: 7 };
  const status = await clusterStatus({
    own: () => own,
    registry: { relays: async () => relays.map(({ info }) => info), problem: undefined },
    peers: edge.peers,
    withinMs: 2_000,
  });
  assert.equal(status.problem, null);
  assert.deepEqual(
    status.relays.map(({ id, self, stats }) => [id, self, stats?.agents]),
    [
      ['a', false, 1],
      ['b', false, undefined],
      ['c', true, 7],
    ],
  );
  assert.match(status.relays[1]!.problem!, /ECONNREFUSED/);
});

test('without the registry the status shows what is known, and what is wrong', async (t) => {
  const edge = await testRelay(t, 'edge');
  const own = await (await testRelay(t, 'other')).peers.stats(edge.info, soon());
  const status = await clusterStatus({
    own: () => own,
    registry: {
      relays: () => Promise.reject(new Error('Redis is away.')),
      problem: undefined,
    },
    peers: edge.peers,
    withinMs: 2_000,
  });
  assert.deepEqual([status.problem, status.relays.length], ['Redis is away.', 1]);
});
