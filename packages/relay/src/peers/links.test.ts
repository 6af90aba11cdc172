// How links between relays come and go: one dial at a time, back-off, idle, drain, death.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { TunnelError } from '@burrow/tunnel';
import { openOn, testRelay, type TestRelay } from './testing.ts';

const soon = (): AbortSignal => AbortSignal.timeout(5_000);

test('many who ask at once share one dial and one link', async (t) => {
  const [edge, home] = await Promise.all([testRelay(t, 'edge'), testRelay(t, 'home')]);
  assert.equal(edge.peers.linkNow(home.info), undefined);
  const links = await Promise.all(Array.from({ length: 50 }, () => edge.link(home)));
  assert.equal(new Set(links).size, 1);
  assert.deepEqual(edge.dials, ['ok']);
  assert.equal(edge.peers.linkNow(home.info), links[0]);
  assert.equal([...home.peers.links('in')].length, 1);
});

test('who gives up waiting does not stop the dial for the others', async (t) => {
  const [edge, home] = await Promise.all([testRelay(t, 'edge'), testRelay(t, 'home')]);
  const impatient = new AbortController();
  const given = edge.peers.link(home.info, impatient.signal);
  const patient = edge.link(home);
  impatient.abort(new Error('gave up'));
  await assert.rejects(given, /gave up/);
  assert.equal((await patient).closed, false);
});

test('a dead relay fails one dial; those who ask meanwhile are told at once; then it is tried again', async (t) => {
  const edge = await testRelay(t, 'edge', { limits: { backOffMs: 100 } });
  const home = await testRelay(t, 'home');
  const port = Number(new URL(home.info.peerUrl).port);
  const { incarnation } = home.info;
  await home.peers.stop();
  await assert.rejects(edge.link(home), /ECONNREFUSED/);
  await Promise.all(
    Array.from({ length: 20 }, () => assert.rejects(edge.link(home), /ECONNREFUSED/)),
  );
  assert.deepEqual(edge.dials, ['failed']);
  // The same run again: its network was away.
  await testRelay(t, 'home', { incarnation, listen: { host: '127.0.0.1', port } });
  for (;;) {
    const link = await edge.link(home).catch(() => undefined);
    if (link !== undefined) break;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.equal(edge.dials.at(-1), 'ok');
  assert.ok(edge.dials.length <= 3, 'no loop');
});

test('an address that takes connections and says nothing costs a bounded time', async (t) => {
  const server = createServer(() => {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const edge = await testRelay(t, 'edge', { limits: { dialMs: 100 } });
  const mute = {
    id: 'mute',
    incarnation: 'ab'.repeat(16),
    version: '0',
    peerUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
  };
  await assert.rejects(edge.peers.link(mute, soon()), (error: unknown) => {
    return error instanceof TunnelError && /“mute” did not answer within 0.1 s/.test(error.message);
  });
});

test('bulk on the only link brings a clean one for keystrokes, and no more than the cap', async (t) => {
  const [edge, home] = await Promise.all([
    testRelay(t, 'edge', { limits: { linksPerPeer: 2 } }),
    testRelay(t, 'home'),
  ]);
  await home.connectAgent('a1');
  const first = await edge.link(home);
  const [copy, other] = [openOn(first, { workload: 'a1' }), openOn(first, { workload: 'a1' })];
  await Promise.all([copy.until((r) => r.opened), other.until((r) => r.opened)]);
  copy.channel!.setTraffic('bulk');
  copy.channel!.write(Buffer.alloc(200_000));
  await home.atAgent[0]!.until((r) => r.bytes === 200_000);
  assert.equal(first.stats.bulk, true);
  assert.equal(
    edge.peers.linkNow(home.info, 'interactive'),
    first,
    'nothing waits for the new one',
  );
  await until(() => edge.dials.length === 2);
  const clean = edge.peers.linkNow(home.info, 'interactive')!;
  assert.notEqual(clean, first);
  assert.equal(edge.peers.linkNow(home.info, 'bulk'), first, 'bulk stays with bulk');
  for (let i = 0; i < 100; i++) edge.peers.linkNow(home.info, 'interactive');
  assert.equal([...edge.peers.links('out')].length, 2);
});

test('a crowded link brings another before it is full, and a full one is passed over', async (t) => {
  const [edge, home] = await Promise.all([
    testRelay(t, 'edge', { limits: { crowdedChannels: 3, channelsPerLink: 5 } }),
    testRelay(t, 'home'),
  ]);
  await home.connectAgent('a1');
  const first = await edge.link(home);
  for (let i = 0; i < 5; i++) openOn(first, { workload: 'a1' });
  edge.peers.linkNow(home.info);
  await until(() => edge.dials.length === 2);
  assert.notEqual(edge.peers.linkNow(home.info), first);
});

test('a relay takes no more than so many links from one other', async (t) => {
  const home = await testRelay(t, 'home', { limits: { acceptedPerPeer: 1 } });
  const edge = await testRelay(t, 'edge', { limits: { crowdedChannels: 0 } });
  await edge.link(home);
  edge.peers.linkNow(home.info);
  await until(() => edge.dials.length === 2);
  assert.deepEqual([edge.dials, home.refusals], [['ok', 'refused'], ['full']]);
});

test('a link that nobody uses is closed; one with a channel stays', async (t) => {
  const edge = await testRelay(t, 'edge', { limits: { idleMs: 50 } });
  const [one, two] = await Promise.all([testRelay(t, 'one'), testRelay(t, 'two')]);
  await one.connectAgent('a1');
  const used = await edge.link(one);
  const channel = openOn(used, { workload: 'a1' });
  const unused = await edge.link(two);
  await until(() => unused.closed);
  assert.equal(used.closed, false);
  assert.deepEqual(edge.lost, [], 'nothing was lost');
  await until(() => [...two.peers.links('in')].length === 0);
  channel.channel!.reset('cancelled', 'done');
  await until(() => used.closed);
  assert.equal((await edge.link(two)).closed, false, 'and it is dialled again');
});

test('a relay that drains says so: nothing new comes, what is open goes on', async (t) => {
  const [edge, home] = await Promise.all([testRelay(t, 'edge'), testRelay(t, 'home')]);
  await home.connectAgent('a1');
  const link = await edge.link(home);
  const channel = openOn(link, { workload: 'a1' });
  await channel.until((r) => r.opened);
  home.peers.drain(5_000, 'The relay “home” shuts down.');
  home.peers.drain(5_000, 'twice');
  await until(() => edge.lost.length === 1);
  assert.equal(edge.lost[0]!.reason.code, 'draining');
  assert.equal(edge.peers.linkNow(home.info), undefined);
  await assert.rejects(edge.link(home), /“home” shuts down/);
  channel.channel!.write(Buffer.from('still here'));
  channel.channel!.end();
  await home.atAgent[0]!.until((r) => r.ended);
  assert.equal(home.atAgent[0]!.received.toString(), 'still here');
});

test('a relay that drains says so on one link after the other: with the first none of them is chosen', async (t) => {
  const [edge, home] = await Promise.all([
    testRelay(t, 'edge', { limits: { crowdedChannels: 3 } }),
    testRelay(t, 'home'),
  ]);
  await home.connectAgent('a1');
  const first = await edge.link(home);
  for (let i = 0; i < 3; i++) openOn(first, { workload: 'a1' });
  edge.peers.linkNow(home.info);
  await until(() => edge.dials.length === 2);
  let seen: { draining: number; chosen: boolean } | undefined;
  edge.peers.onLost(() => {
    const draining = [...edge.peers.links('out')].filter((link) => link.draining).length;
    seen = { draining, chosen: edge.peers.linkNow(home.info) !== undefined };
  });
  home.peers.drain(5_000, 'The relay “home” shuts down.');
  await until(() => seen !== undefined);
  assert.deepEqual(seen, { draining: 1, chosen: false });
});

test('links of an agent that drain together: what they carry stays until another is there', async (t) => {
  const [edge, home] = await Promise.all([testRelay(t, 'edge'), testRelay(t, 'home')]);
  await home.connectAgent('a1');
  await home.connectAgent('a1');
  const channel = openOn(await edge.link(home), { workload: 'a1' });
  await channel.until((r) => r.opened);
  for (const link of home.routing.links()) link.drain(5_000, 'The relay shuts down.');
  channel.channel!.write(Buffer.from('still here'));
  await home.atAgent[0]!.until((r) => r.bytes === 10);
  assert.equal(channel.closed, false);
  await home.connectAgent('a1');
  await channel.until((r) => r.closed);
  assert.match(channel.error!.message, /another is there/);
});

test('a relay that stops tells its peers why, twice in order, and nothing is left', async (t) => {
  const [edge, home] = await Promise.all([testRelay(t, 'edge'), testRelay(t, 'home')]);
  await home.connectAgent('a1');
  const channel = openOn(await edge.link(home), { workload: 'a1' });
  await channel.until((r) => r.opened);
  home.peers.drain(1_000, 'going');
  await Promise.all([home.peers.stop(), home.peers.stop()]);
  await home.peers.stop();
  await channel.until((r) => r.closed);
  assert.match(channel.error!.message, /“home” shuts down/);
  assert.equal([...home.peers.links('in')].length, 0);
  await assert.rejects(home.peers.link(edge.info, soon()), /shuts down/);
});

test('a peer that is killed takes its channels along, and is noticed at once', async (t) => {
  const home = await testRelay(t, 'home');
  const line = await lineTo(t, home);
  const edge = await testRelay(t, 'edge');
  await home.connectAgent('a1');
  const channel = openOn(await edge.peers.link(line.info, soon()), { workload: 'a1' });
  await channel.until((r) => r.opened);
  channel.channel!.write(Buffer.alloc(100_000));
  line.cut();
  await channel.until((r) => r.closed);
  assert.equal(channel.error?.code, 'link-lost');
  await home.atAgent[0]!.until((r) => r.closed);
  assert.deepEqual(
    edge.lost.map(({ id }) => id),
    ['home'],
  );
  assert.equal(edge.peers.linkNow(line.info), undefined);
  // The relay itself lives: the next dial finds it.
  assert.equal((await edge.peers.link(line.info, soon())).closed, false);
});

test('a peer that goes silent is given up by both sides', async (t) => {
  const limits = { pingAfterMs: 100, pongWithinMs: 200 };
  const home = await testRelay(t, 'home', { limits });
  const line = await lineTo(t, home);
  const edge = await testRelay(t, 'edge');
  await home.connectAgent('a1');
  const channel = openOn(await edge.peers.link(line.info, soon()), { workload: 'a1' });
  await channel.until((r) => r.opened);
  line.freeze();
  await channel.until((r) => r.closed);
  assert.equal(channel.error?.code, 'link-silent');
  await home.atAgent[0]!.until((r) => r.closed);
  await until(() => [...home.peers.links('in')].length === 0);
  assert.equal(edge.lost.length, 1);
});

/** A TCP line to a relay that a test can cut or freeze. */
async function lineTo(t: TestContext, relay: TestRelay) {
  const target = new URL(relay.info.peerUrl);
  const pairs = new Set<[Socket, Socket]>();
  const server = createServer((near) => {
    const far = connect(Number(target.port), target.hostname);
    pairs.add([near, far]);
    for (const socket of [near, far]) socket.on('error', () => {});
    near.pipe(far).pipe(near);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const cut = (): void => {
    for (const [near, far] of pairs) {
      near.resetAndDestroy();
      far.resetAndDestroy();
    }
    pairs.clear();
  };
  t.after(() => {
    cut();
    server.close();
  });
  return {
    info: {
      ...relay.info,
      peerUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    },
    cut,
    freeze() {
      for (const [near, far] of pairs) {
        near.unpipe(far).pause();
        far.unpipe(near).pause();
      }
    },
  };
}

async function until(condition: () => boolean): Promise<void> {
  const signal = soon();
  while (!condition()) {
    signal.throwIfAborted();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
