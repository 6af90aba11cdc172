import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  TunnelError,
  type Channel,
  type ChannelHandler,
  type HelloInfo,
  type Link,
  type LinkStats,
  type OpenOptions,
  type Resumable,
} from '@burrow/tunnel';
import { clusterRouting, type ClusterRouting } from './cluster.ts';
import { memoryRegistry, memoryRegistryBus, type MemoryRegistryBus } from './memory-registry.ts';
import { memoryRouting } from './memory.ts';
import { relayInfo, until } from './registry-compliance.ts';
import type { Registry, RelayInfo } from './registry.ts';

const HELLO: HelloInfo = {
  revision: 1,
  minRevision: 1,
  instanceId: '01',
  software: 'test',
  capabilities: [],
  listeningPorts: [],
  sshHostKey: '',
  sshServer: 'none',
  sshUser: '',
  label: '',
};
const OPEN: OpenOptions = {
  target: { kind: 'tcp', port: 3000 },
  principal: { userId: 'u1', username: 'alice' },
};
const HANDLER: ChannelHandler = { onData() {}, onEnd() {}, onClose() {} };
const POLL_MS = 60;

interface FakeLink extends Link {
  readonly stats: LinkStats & { silent: boolean };
  closed: boolean;
  draining: boolean;
  readonly opens: OpenOptions[];
  /** Ends the last channel as the other side would. */
  refuse(code: TunnelError['code']): void;
}

function fakeLink(id: string): FakeLink {
  const opens: OpenOptions[] = [];
  return {
    id,
    closed: false,
    draining: false,
    resumes: true,
    stats: {
      channels: 0,
      bytesIn: 0,
      bytesOut: 0,
      queuedBytes: 0,
      stalls: 0,
      rttMs: 1,
      bulk: false,
      silent: false,
    },
    opens,
    open(options) {
      if (this.closed) throw new TunnelError('link-lost', 'gone');
      opens.push(options);
      return { link: this } as unknown as Channel;
    },
    refuse(code) {
      const channel = { opened: false } as unknown as Resumable;
      opens.at(-1)?.resumer?.onOver?.(channel, new TunnelError(code, 'refused'));
    },
    resume() {},
    drain() {},
    close() {},
  };
}

/** What one relay sees of the others. */
class FakePeers {
  readonly links = new Map<string, FakeLink>();
  readonly dials: string[] = [];
  readonly dead = new Set<string>();
  /** Takes connections and says nothing. */
  readonly mute = new Set<string>();
  readonly #lost = new Set<(relay: RelayInfo, reason: TunnelError) => void>();

  linkNow(relay: RelayInfo): Link | undefined {
    const link = this.links.get(relay.incarnation);
    return link === undefined || link.closed || link.draining ? undefined : link;
  }
  async link(relay: RelayInfo, signal: AbortSignal): Promise<Link> {
    const up = this.linkNow(relay);
    if (up !== undefined) return up;
    this.dials.push(relay.id);
    await Promise.resolve();
    if (this.mute.has(relay.id)) await sleep(3_000, undefined, { signal });
    if (this.dead.has(relay.id)) throw new TunnelError('unavailable', `${relay.id} is dead`);
    const link = fakeLink(`to-${relay.id}`);
    this.links.set(relay.incarnation, link);
    return link;
  }
  onLost(listener: (relay: RelayInfo, reason: TunnelError) => void): () => void {
    this.#lost.add(listener);
    return () => this.#lost.delete(listener);
  }
  lose(relay: RelayInfo): void {
    const link = this.links.get(relay.incarnation);
    if (link !== undefined) link.closed = true;
    this.links.delete(relay.incarnation);
    for (const listener of this.#lost) listener(relay, new TunnelError('link-lost', 'lost'));
  }
  get listeners(): number {
    return this.#lost.size;
  }
}

interface Stand {
  readonly bus: MemoryRegistryBus;
  readonly edge: ClusterRouting;
  readonly peers: FakePeers;
  readonly registry: Registry;
  readonly home: (id: string) => Promise<{ registry: Registry; info: RelayInfo }>;
  readonly linkTo: (info: RelayInfo) => FakeLink;
}

async function stand(t: TestContext, maxWaiting = 10): Promise<Stand> {
  const bus = memoryRegistryBus();
  const peers = new FakePeers();
  const registry = memoryRegistry(bus);
  await registry.start(relayInfo('edge'));
  const edge = clusterRouting({
    ...{ local: memoryRouting({ maxWaiting }), registry, peers, maxWaiting },
    ...{ leaseMs: 60_000, pollMs: POLL_MS },
  });
  t.after(() => {
    edge.stop();
    edge.stop();
    assert.equal(peers.listeners, 0);
    return registry.stop();
  });
  return {
    ...{ bus, edge, peers, registry },
    async home(id) {
      const info = relayInfo(id);
      const member = memoryRegistry(bus);
      await member.start(info);
      t.after(() => member.stop());
      return { registry: member, info };
    },
    linkTo(info) {
      const link = peers.links.get(info.incarnation);
      assert.ok(link !== undefined, `no link to ${info.id}`);
      return link;
    },
  };
}

const soon = (): AbortSignal => AbortSignal.timeout(5_000);

test('an agent of another relay is found, and its channels go there under its id', async (t) => {
  const { edge, home, linkTo, peers } = await stand(t);
  const { registry, info } = await home('home');
  registry.add('agent', 'l', '01');
  assert.equal(edge.open('agent', OPEN, HANDLER), undefined);
  await edge.waitFor('agent', soon());
  const channel = edge.open('agent', { ...OPEN, metadata: { a: 'b' } }, HANDLER);
  const link = linkTo(info);
  assert.equal(channel?.link, link);
  const [open] = link.opens;
  assert.deepEqual(
    [open?.workload, open?.principal, open?.metadata],
    ['agent', OPEN.principal, { a: 'b' }],
  );
  assert.equal(edge.choose('agent', 'interactive'), link);
  assert.deepEqual(peers.dials, ['home']);
  assert.equal(edge.presence('agent'), undefined);
});

test('once found, nothing is asked again: no lookup for each request', async (t) => {
  const { edge, home, registry } = await stand(t);
  const { registry: there } = await home('home');
  there.add('agent', 'l', '01');
  await edge.waitFor('agent', soon());
  await sleep(0);
  const { lookups } = registry.counts;
  for (let at = 0; at < 1_000; at++) assert.ok(edge.open('agent', OPEN, HANDLER) !== undefined);
  await edge.waitFor('agent', soon());
  assert.equal(registry.counts.lookups, lookups);
});

test('a link that ends here goes first', async (t) => {
  const { edge, home, linkTo } = await stand(t);
  const { registry, info } = await home('home');
  registry.add('agent', 'l', '01');
  await edge.waitFor('agent', soon());
  const own = fakeLink('own');
  edge.add('agent', own, HELLO);
  assert.equal(edge.open('agent', OPEN, HANDLER)?.link, own);
  assert.equal(edge.choose('agent', 'bulk'), own);
  edge.remove('agent', own);
  assert.equal(edge.choose('agent', 'bulk'), linkTo(info));
});

test('what is here is told to the others, and taken back', async (t) => {
  const { edge, home } = await stand(t);
  const { registry } = await home('other');
  const own = fakeLink('own');
  edge.add('agent', own, HELLO);
  const found = async () => (await registry.find('agent', soon())).map(({ relay }) => relay.id);
  assert.deepEqual(await found(), ['edge']);
  edge.remove('agent', own);
  assert.deepEqual(await found(), []);
});

test('who waits is woken by the publish, long before the poll', async (t) => {
  const { edge, home } = await stand(t);
  const { registry } = await home('home');
  const waits = edge.waitFor('agent', soon());
  await sleep(5);
  const began = performance.now();
  registry.add('agent', 'l', '01');
  await waits;
  assert.ok(performance.now() - began < POLL_MS / 2);
});

test('a publish that is lost is made up for by the poll', async (t) => {
  const { edge, home, bus } = await stand(t);
  const { registry } = await home('home');
  const waits = edge.waitFor('agent', soon());
  bus.listeners.clear();
  registry.add('agent', 'l', '01');
  await waits;
});

test('many who wait for one agent cause one lookup and one dial', async (t) => {
  const { edge, home, registry, peers } = await stand(t);
  const { registry: there } = await home('home');
  there.add('agent', 'l', '01');
  await Promise.all(Array.from({ length: 10 }, () => edge.waitFor('agent', soon())));
  assert.equal(registry.counts.lookups, 1);
  assert.equal(peers.dials.length, 1);
});

test('those who wait are counted, and leave nothing behind when they give up', async (t) => {
  const { edge, registry } = await stand(t, 2);
  const gaveUp = new AbortController();
  const waits = [edge.waitFor('a', gaveUp.signal), edge.waitFor('a', gaveUp.signal)];
  assert.equal(edge.waiting, 2);
  await assert.rejects(edge.waitFor('b', soon()), { code: 'limit' });
  const reason = new Error('gave up');
  gaveUp.abort(reason);
  for (const wait of waits) await assert.rejects(wait, reason);
  assert.equal(edge.waiting, 0);
  const { lookups } = registry.counts;
  await sleep(POLL_MS * 3);
  assert.equal(registry.counts.lookups, lookups, 'somebody still looks');
});

test('an entry that leads to a dead relay: one dial, the other relay is used, and no loop', async (t) => {
  const { edge, home, peers } = await stand(t);
  const dead = await home('dead');
  const alive = await home('alive');
  dead.registry.add('agent', 'l', '01');
  peers.dead.add('dead');
  const waits = edge.waitFor('agent', soon());
  await until(() => peers.dials.length, 1);
  await sleep(POLL_MS * 5);
  assert.deepEqual(peers.dials, ['dead'], 'it was dialled again');
  alive.registry.add('agent', 'l2', '01');
  await waits;
  assert.deepEqual(peers.dials, ['dead', 'alive']);
});

test('a relay that takes connections and says nothing: the agent’s next one is not waited for', async (t) => {
  const { edge, home, peers } = await stand(t);
  const [mute, alive] = [await home('mute'), await home('alive')];
  mute.registry.add('agent', 'l', '01');
  alive.registry.add('agent', 'l2', '01');
  peers.mute.add('mute');
  const asked = performance.now();
  await edge.waitFor('agent', soon());
  assert.ok(performance.now() - asked < 2_000);
  assert.equal(edge.open('agent', OPEN, HANDLER)?.link, peers.links.get(alive.info.incarnation));
});

test('a relay that does not answer: the agent’s other relay is dialled and used, until it answers', async (t) => {
  const { edge, home, linkTo, peers } = await stand(t);
  const [still, other] = [await home('still'), await home('other')];
  still.registry.add('agent', 'l', '01');
  await edge.waitFor('agent', soon());
  other.registry.add('agent', 'l2', '01');
  await sleep(5);
  linkTo(still.info).stats.silent = true;
  assert.equal(edge.choose('agent', 'auto'), linkTo(still.info), 'as long as no other is known');
  await Promise.all([edge.around!('agent'), edge.around!('agent')]);
  assert.deepEqual(peers.dials, ['still', 'other']);
  assert.equal(edge.choose('agent', 'auto'), linkTo(other.info));
  assert.equal(edge.open('agent', OPEN, HANDLER)?.link, linkTo(other.info));
  linkTo(still.info).stats.silent = false;
  linkTo(other.info).stats.silent = true;
  assert.equal(edge.choose('agent', 'auto'), linkTo(still.info));
});

test('a way around is found among known routes while the registry hangs, and an emptied one takes none', async (t) => {
  const { edge, home, linkTo, peers, registry } = await stand(t);
  const [still, other] = [await home('still'), await home('other')];
  still.registry.add('agent', 'l', '01');
  other.registry.add('agent', 'l2', '01');
  await edge.waitFor('agent', soon());
  linkTo(still.info).stats.silent = true;
  const answer = Promise.withResolvers<Awaited<ReturnType<Registry['find']>>>();
  t.mock.method(registry, 'find', () => answer.promise);
  await edge.around!('agent');
  assert.deepEqual(peers.dials, ['still', 'other']);
  assert.equal(edge.choose('agent', 'auto'), linkTo(other.info));
  answer.resolve([]);
  await sleep(0);
  linkTo(other.info).stats.silent = true;
  await edge.around!('agent');
  assert.ok(edge.choose('agent', 'auto') !== undefined);
});

test('an own link that does not answer gives way to another relay’s that does', async (t) => {
  const { edge, home, linkTo } = await stand(t);
  const own = fakeLink('own');
  edge.add('agent', own, HELLO);
  own.stats.silent = true;
  await edge.around!('agent');
  assert.equal(edge.open('agent', OPEN, HANDLER)?.link, own, 'nobody else has it');
  const { registry, info } = await home('home');
  registry.add('agent', 'l', '01');
  await edge.around!('agent');
  assert.equal(edge.open('agent', OPEN, HANDLER)?.link, linkTo(info));
  own.stats.silent = false;
  assert.equal(edge.open('agent', OPEN, HANDLER)?.link, own);
});

test('the relay says that it does not have the agent: its route is dropped and others are asked', async (t) => {
  const { edge, home, linkTo } = await stand(t);
  const before = await home('before');
  before.registry.add('agent', 'l', '01');
  await edge.waitFor('agent', soon());
  edge.open('agent', OPEN, HANDLER);
  const after = await home('after');
  after.registry.add('agent', 'l2', '01');
  await sleep(5);
  linkTo(before.info).refuse('draining');
  // The registry still says otherwise.
  assert.notEqual(edge.choose('agent', 'auto'), linkTo(before.info));
  await edge.waitFor('agent', soon());
  assert.equal(edge.open('agent', OPEN, HANDLER)?.link, linkTo(after.info));
});

test('the same for a link that was chosen for a channel to be joined', async (t) => {
  const { edge, home, linkTo } = await stand(t);
  const { registry, info } = await home('home');
  registry.add('agent', 'l', '01');
  await edge.waitFor('agent', soon());
  const link = edge.choose('agent', 'auto');
  assert.equal(link, linkTo(info));
  edge.failed?.('agent', linkTo(info), new TunnelError('nothing-listens', 'no such port'));
  assert.equal(edge.choose('agent', 'auto'), link);
  edge.failed?.('agent', linkTo(info), new TunnelError('agent-gone', 'not here'));
  assert.equal(edge.choose('agent', 'auto'), undefined);
});

test('the only relay that has the agent did not have it for a moment: it is asked again, not at once', async (t) => {
  const { edge, home, linkTo } = await stand(t);
  const { registry, info } = await home('home');
  registry.add('agent', 'l', '01');
  await edge.waitFor('agent', soon());
  edge.open('agent', OPEN, HANDLER);
  linkTo(info).refuse('agent-gone');
  const began = performance.now();
  await edge.waitFor('agent', soon());
  const waited = performance.now() - began;
  assert.ok(waited > 500 && waited < 3_000, `${waited} ms`);
});

test('the peer link ends: what led there is looked up anew', async (t) => {
  const { edge, home, peers, linkTo } = await stand(t);
  const [first, second] = [await home('first'), await home('second')];
  first.registry.add('agent', 'l', '01');
  await edge.waitFor('agent', soon());
  second.registry.add('agent', 'l2', '01');
  first.registry.remove('agent', 'l');
  peers.lose(first.info);
  assert.equal(edge.open('agent', OPEN, HANDLER), undefined);
  await edge.waitFor('agent', soon());
  assert.equal(edge.open('agent', OPEN, HANDLER)?.link, linkTo(second.info));
});

test('a publish about a known agent renews its route; until then the known one serves', async (t) => {
  const { edge, home, linkTo } = await stand(t);
  const [first, second] = [await home('first'), await home('second')];
  first.registry.add('agent', 'l', '01');
  await edge.waitFor('agent', soon());
  first.registry.remove('agent', 'l');
  second.registry.add('agent', 'l2', '01');
  assert.equal(edge.choose('agent', 'auto'), linkTo(first.info));
  await until(() => edge.choose('agent', 'auto') === undefined, true);
  await edge.waitFor('agent', soon());
  assert.equal(edge.choose('agent', 'auto'), linkTo(second.info));
});

test('with the registry away: known routes and local links go on, a new lookup says what is wrong', async (t) => {
  const { edge, home, bus, peers, linkTo } = await stand(t);
  const { registry, info } = await home('home');
  registry.add('known', 'l', '01');
  await edge.waitFor('known', soon());
  bus.fail = new TunnelError('unavailable', 'Redis does not answer.');
  assert.ok(edge.open('known', OPEN, HANDLER) !== undefined);
  const began = performance.now();
  await assert.rejects(edge.waitFor('new', soon()), /Redis does not answer/);
  assert.ok(performance.now() - began < 4_000);
  // Also when the link to that relay has to be dialled anew.
  peers.lose(info);
  await edge.waitFor('known', soon());
  assert.equal(edge.open('known', OPEN, HANDLER)?.link, linkTo(info));
  // And whoever waits while an agent connects here is served.
  const waits = edge.waitFor('local', soon());
  edge.add('local', fakeLink('own'), HELLO);
  await waits;
});

test('a registry that is away for a moment fails nobody', async (t) => {
  const { edge, home, bus } = await stand(t);
  const { registry } = await home('home');
  registry.add('agent', 'l', '01');
  bus.fail = new TunnelError('unavailable', 'Redis does not answer.');
  const waits = edge.waitFor('agent', soon());
  await sleep(POLL_MS * 2);
  bus.fail = undefined;
  await waits;
});

test('stopping ends those who wait, with the reason', async (t) => {
  const { edge } = await stand(t);
  const waits = edge.waitFor('agent', soon());
  edge.stop();
  await assert.rejects(waits, { code: 'draining' });
  await assert.rejects(edge.waitFor('agent', soon()), { code: 'draining' });
});

test('of two relays that have the agent a keystroke goes over the link without bulk', async (t) => {
  const { edge, home, peers, linkTo } = await stand(t);
  const [first, second] = [await home('first'), await home('second')];
  for (const { registry, info } of [first, second]) {
    registry.add('agent', 'l', '01');
    await peers.link(info, soon());
  }
  await edge.waitFor('agent', soon());
  Object.assign(linkTo(first.info).stats, { bulk: true });
  assert.equal(edge.choose('agent', 'interactive'), linkTo(second.info));
});
