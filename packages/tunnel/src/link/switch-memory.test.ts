// One fast link feeds many that are stuck: what the switch holds stays bounded, and all arrives in the end.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';

import { INITIAL_WINDOW_BYTES, SWITCH_GUARANTEE_BYTES, SWITCH_POOL_BYTES } from '../limits.ts';
import {
  linkPair,
  Recorder,
  TEST_HELLO,
  TEST_WELCOME,
  transportPair,
  type LinkPair,
} from '../testing/index.ts';
import type { Channel, Link, LinkHandler } from '../types.ts';
import { Batch } from '../wire/encode.ts';
import { greetAsAcceptor, greetAsDialler } from './handshake.ts';
import type { LinkCore } from './link.ts';
import { joinChannel } from './switch.ts';
import { switchPool } from './switch-pool.ts';

const AGENTS = 500;
/** As relays say to one another. */
const FIRST_BYTES = SWITCH_GUARANTEE_BYTES;
const MiB = 1024 * 1024;

function recording(at: Recorder[]): LinkHandler {
  return {
    onChannel(channel) {
      const recorder = new Recorder();
      recorder.channel = channel;
      channel.setHandler(recorder);
      at.push(recorder);
      channel.accept();
    },
    onClose() {},
  };
}

/** peer ── relay ═ 500 agents. */
async function stand(count: number) {
  const far: Recorder[] = [];
  const agents: LinkPair[] = [];
  for (let i = 0; i < count; i++) agents.push(await linkPair({ dialler: recording(far) }));
  let next = 0;
  const peer = await linkPair({
    acceptor: {
      onChannel: (channel: Channel) => void joinChannel(channel, agents[next++]!.acceptor),
      onClose() {},
    },
    welcome: { firstWindow: FIRST_BYTES },
  });
  const near: Recorder[] = [];
  for (let i = 0; i < count; i++) {
    const recorder = new Recorder();
    recorder.channel = peer.dialler.open(
      { target: { kind: 'tcp', port: 1 }, principal: { userId: 'u', username: 'ann' } },
      recorder,
    );
    near.push(recorder);
  }
  await Promise.all(near.map((recorder) => recorder.until((r) => r.opened)));
  return { far, agents, peer, near };
}

/** Nothing leaves the relay towards this agent until the returned function is called. */
function stick({ transports: [, toAgent] }: LinkPair): () => void {
  const send = toAgent.send.bind(toAgent);
  const held: Buffer[][] = [];
  toAgent.send = (chunks) => void held.push(chunks);
  return () => {
    toAgent.send = send;
    for (const chunks of held) send(chunks);
  };
}

/** As an agent that has read fast until now: it allows 16 MiB. */
function allowMuch({ transports: [, atRelay] }: LinkPair): void {
  const batch = new Batch();
  batch.credit(2, 0, 16 * MiB);
  atRelay.inject(Buffer.concat(batch.take()));
}

const queued = (links: readonly Link[]): number =>
  links.reduce((sum, link) => sum + link.stats.queuedBytes, 0);

test('500 stuck agents behind one fast link hold their first windows and the pool, no more', async () => {
  const { agents, peer, near } = await stand(AGENTS);
  const links = [...agents.map(({ acceptor }) => acceptor), peer.acceptor];
  for (const agent of agents) {
    stick(agent);
    allowMuch(agent);
  }
  const piece = Buffer.alloc(2 * MiB);
  for (const { channel } of near) channel!.write(piece);
  let sent = 0;
  for (let calm = 0; calm < 50; calm++) {
    await turn();
    const now = peer.dialler.stats.bytesOut;
    if (now !== sent) calm = 0;
    sent = now;
  }
  const held = queued(links);
  // What each may begin with is promised unasked; the rest comes out of the pool.
  assert.ok(held <= AGENTS * FIRST_BYTES + SWITCH_POOL_BYTES, `${held} bytes held`);
  assert.ok(held >= SWITCH_POOL_BYTES, `${held} bytes: the pool is used`);
  assert.ok(switchPool.left >= 0);
  for (const { channel } of near) channel!.reset('cancelled', 'done');
  while (queued(links) > 0) await turn();
  assert.equal(switchPool.left, SWITCH_POOL_BYTES, 'everything was given back');
});

test('a channel goes on with its guarantee while others have the pool, byte for byte', async () => {
  const taken = switchPool.take(SWITCH_POOL_BYTES);
  try {
    const { far, near } = await stand(2);
    const piece = Buffer.alloc(4 * MiB, 'burrow');
    for (const { channel } of near) {
      channel!.write(piece);
      channel!.end();
    }
    for (const recorder of far) {
      recorder.channel!.end();
      await recorder.until((r) => r.ended);
      assert.ok(recorder.received.equals(piece));
    }
    for (const recorder of near) await recorder.until((r) => r.closed);
    assert.equal(switchPool.left, 0);
    assert.ok(SWITCH_GUARANTEE_BYTES < INITIAL_WINDOW_BYTES);
  } finally {
    switchPool.give(taken);
  }
});

test('channels that carry little take nothing from the pool', async () => {
  const { far, near } = await stand(50);
  for (const { channel } of near) channel!.write(Buffer.alloc(FIRST_BYTES / 4));
  for (const recorder of far) await recorder.until((r) => r.bytes === FIRST_BYTES / 4);
  assert.equal(switchPool.left, SWITCH_POOL_BYTES);
  near[0]!.channel!.write(Buffer.alloc(MiB));
  await far[0]!.until((r) => r.bytes === FIRST_BYTES / 4 + MiB);
  assert.ok(switchPool.left < SWITCH_POOL_BYTES);
  for (const { channel } of near) channel!.reset('cancelled', 'done');
  while (switchPool.left < SWITCH_POOL_BYTES) await turn();
});

test('a new channel begins with what Welcome says, and goes on when it is answered', async () => {
  const taken: Recorder[] = [];
  const { dialler, acceptor, transports } = await linkPair({
    acceptor: recording(taken),
    welcome: { firstWindow: FIRST_BYTES },
  });
  assert.equal((acceptor as LinkCore).mayReceiveFirst, FIRST_BYTES);
  const [out] = transports;
  let sent = 0;
  const pass = out.filter;
  out.filter = (bytes) => ((sent += bytes.length), pass(bytes));
  acceptorHears(transports, false);
  const recorder = new Recorder();
  recorder.channel = dialler.open(
    { target: { kind: 'tcp', port: 1 }, principal: { userId: 'u', username: 'ann' } },
    recorder,
  );
  recorder.channel.write(Buffer.alloc(INITIAL_WINDOW_BYTES));
  for (let i = 0; i < 10; i++) await turn();
  assert.ok(sent >= FIRST_BYTES && sent < FIRST_BYTES + 4096, `${sent} bytes before any answer`);
  acceptorHears(transports, true);
  while (taken.length === 0) await turn();
  await taken[0]!.until((r) => r.bytes === INITIAL_WINDOW_BYTES);
});

test('of a dialler that does not heed it the usual beginning is taken', async () => {
  const [near, far] = transportPair();
  near.filter = (bytes) => [
    Buffer.from(bytes.toString('latin1').replace('first-window', 'older-window'), 'latin1'),
  ];
  const accepting = greetAsAcceptor(far, {
    welcome: () => ({ ...TEST_WELCOME, firstWindow: FIRST_BYTES }),
    handler: recording([]),
  });
  const signal = AbortSignal.timeout(5_000);
  await greetAsDialler(near, { hello: TEST_HELLO, handler: recording([]), signal });
  const accepted = await accepting;
  assert.equal((accepted!.link as LinkCore).mayReceiveFirst, INITIAL_WINDOW_BYTES);
});

/** What the dialler sends waits until it is heard. */
function acceptorHears([out, at]: LinkPair['transports'], hears: boolean): void {
  const { waiting, pass } = holding.get(out) ?? { waiting: [], pass: out.filter };
  holding.set(out, { waiting, pass });
  if (hears) {
    out.filter = pass;
    for (const bytes of waiting.splice(0)) at.inject(bytes);
  } else out.filter = (bytes) => (waiting.push(...pass(bytes)), []);
}
const holding = new Map<
  LinkPair['transports'][0],
  { waiting: Buffer[]; pass: (bytes: Buffer) => Buffer[] }
>();
