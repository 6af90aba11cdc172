// One fast link feeds many that are stuck: what the switch holds stays bounded, and all arrives in the end.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';

import { INITIAL_WINDOW_BYTES, SWITCH_GUARANTEE_BYTES, SWITCH_POOL_BYTES } from '../limits.ts';
import { linkPair, Recorder, type LinkPair } from '../testing/index.ts';
import type { Channel, Link, LinkHandler } from '../types.ts';
import { Batch } from '../wire/encode.ts';
import { joinChannel } from './switch.ts';
import { switchPool } from './switch-pool.ts';

const AGENTS = 500;
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
  // The first window of each is allowed by the protocol itself; the rest is ours to bound.
  assert.ok(held <= AGENTS * INITIAL_WINDOW_BYTES + SWITCH_POOL_BYTES, `${held} bytes held`);
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
