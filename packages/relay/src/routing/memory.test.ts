import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  TunnelError,
  type Channel,
  type HelloInfo,
  type Link,
  type LinkStats,
} from '@burrow/tunnel';
import { chooseLink } from './choose-link.ts';
import { memoryRouting } from './memory.ts';

const HELLO: HelloInfo = {
  revision: 1,
  minRevision: 1,
  instanceId: '00',
  software: 'test',
  capabilities: [],
  listeningPorts: [],
  sshHostKey: '',
  sshServer: 'none',
  sshUser: '',
  label: '',
};
const TARGET = { kind: 'tcp', port: 3000 } as const;
const PRINCIPAL = { userId: 'u1', username: 'alice' };
const HANDLER = { onData() {}, onEnd() {}, onClose() {} };

interface FakeLink extends Link {
  closed: boolean;
  draining: boolean;
  readonly opens: number;
}

function link(id: string, stats: Partial<LinkStats> = {}, fails?: TunnelError): FakeLink {
  let opens = 0;
  return {
    id,
    closed: false,
    resumes: false,
    resume() {},
    draining: false,
    stats: {
      channels: 0,
      bytesIn: 0,
      bytesOut: 0,
      queuedBytes: 0,
      stalls: 0,
      rttMs: undefined,
      bulk: false,
      silent: false,
      ...stats,
    },
    get opens() {
      return opens;
    },
    open() {
      if (fails !== undefined) throw fails;
      opens += 1;
      return { link: this } as unknown as Channel;
    },
    drain() {},
    close() {},
  };
}

test('interactive traffic gets the link without bulk, however busy it is', () => {
  const busy = link('bulk', { bulk: true, channels: 0 });
  const clean = link('clean', { channels: 40 });
  assert.equal(chooseLink([busy, clean], 'interactive'), clean);
});

test('interactive traffic gets the clean link with the fewest channels', () => {
  const [two, one] = [link('two', { channels: 2 }), link('one', { channels: 1 })];
  assert.equal(chooseLink([two, one], 'interactive'), one);
});

test('bulk joins the bulk that is there and leaves the clean link clean', () => {
  const busy = link('bulk', { bulk: true, queuedBytes: 1e6, channels: 9 });
  const clean = link('clean');
  for (const traffic of ['bulk', 'auto'] as const)
    assert.equal(chooseLink([clean, busy], traffic), busy);
});

test('bulk among equals takes the least queued', () => {
  const [long, short] = [
    link('long', { bulk: true, queuedBytes: 9 }),
    link('short', { bulk: true, queuedBytes: 1 }),
  ];
  assert.equal(chooseLink([long, short], 'bulk'), short);
});

test('a link that does not answer comes last, whatever the others carry', () => {
  const [silent, busy] = [
    link('silent', { silent: true }),
    link('busy', { bulk: true, queuedBytes: 9, channels: 9 }),
  ];
  for (const traffic of ['interactive', 'bulk', 'auto'] as const) {
    assert.equal(chooseLink([silent, busy], traffic), busy);
    assert.equal(chooseLink([busy, silent], traffic), busy);
    assert.equal(chooseLink([silent], traffic), silent, 'it may be no more than slow');
  }
});

test('draining and closed links are never chosen', () => {
  const [closed, draining] = [link('closed'), link('draining')];
  closed.closed = true;
  draining.draining = true;
  assert.equal(chooseLink([closed, draining], 'auto'), undefined);
});

test('a full link passes the channel to another; only when all are full it throws limit', () => {
  const routing = memoryRouting({ maxWaiting: 1 });
  const full = link('full', {}, new TunnelError('limit', 'full'));
  routing.add('a', full, HELLO);
  const open = () => routing.open('a', { target: TARGET, principal: PRINCIPAL }, HANDLER);
  assert.throws(open, (error: TunnelError) => error.code === 'limit');
  const spare = link('spare', { channels: 5 });
  routing.add('a', spare, HELLO);
  assert.equal(open()?.link, spare);
});

test('a link lost in the moment of opening means: no usable link', () => {
  const routing = memoryRouting({ maxWaiting: 1 });
  routing.add('a', link('gone', {}, new TunnelError('link-lost', 'gone')), HELLO);
  assert.equal(routing.open('a', { target: TARGET, principal: PRINCIPAL }, HANDLER), undefined);
});

test('a link is chosen for a channel that is to be joined, until the agent is gone', () => {
  const routing = memoryRouting({ maxWaiting: 1 });
  assert.equal(routing.choose('a', 'interactive'), undefined);
  const [busy, clean] = [link('busy', { bulk: true }), link('clean')];
  routing.add('a', busy, HELLO);
  routing.add('a', clean, HELLO);
  assert.equal(routing.choose('a', 'interactive'), clean);
  routing.remove('a', clean);
  routing.remove('a', busy);
  assert.equal(routing.choose('a', 'interactive'), undefined);
});

test('presence counts links and keeps the time of the first', () => {
  let now = 1000;
  const routing = memoryRouting({ maxWaiting: 1, now: () => now });
  const [first, second] = [link('1'), link('2')];
  routing.add('a', first, HELLO);
  now = 2000;
  routing.add('a', second, HELLO);
  routing.add('a', second, HELLO);
  assert.deepEqual(routing.presence('a'), { links: 2, connectedSince: 1000, hello: HELLO });
  routing.remove('a', first);
  routing.remove('a', first);
  assert.equal(routing.presence('a')?.links, 1);
  routing.remove('a', second);
  assert.equal(routing.presence('a'), undefined);
  assert.equal(routing.linkCount, 0);
});

test('a waiter is told at once when a link arrives, and counted against the bound', async () => {
  const routing = memoryRouting({ maxWaiting: 1 });
  const abort = new AbortController();
  const waits = routing.waitFor('a', abort.signal);
  await assert.rejects(
    routing.waitFor('b', abort.signal),
    (error: TunnelError) => error.code === 'limit',
  );
  routing.add('a', link('1'), HELLO);
  await waits;
  assert.equal(routing.waiting, 0);
  await routing.waitFor('a', AbortSignal.abort());
});

test('a waiter that gives up rejects with its own reason and frees its place', async () => {
  const routing = memoryRouting({ maxWaiting: 1 });
  const abort = new AbortController();
  const reason = new Error('gave up');
  const waits = routing.waitFor('a', abort.signal);
  abort.abort(reason);
  await assert.rejects(waits, reason);
  assert.equal(routing.waiting, 0);
});
