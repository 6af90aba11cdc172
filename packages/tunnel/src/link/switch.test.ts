import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';

import { TunnelError } from '../errors.ts';
import { SWITCH_BUDGET_BYTES } from '../limits.ts';
import { linkPair, Recorder } from '../testing/index.ts';
import type { Channel, OpenOptions } from '../types.ts';
import type { LinkCore } from './link.ts';
import { joinChannel, type Joined } from './switch.ts';

const OPTIONS: OpenOptions = {
  target: { kind: 'tcp', port: 22 },
  principal: { userId: 'u1', username: 'ann' },
  metadata: { reason: 'test' },
};

/** client ── relay ── agent: the client opens, the relay joins, the agent records. */
async function relayed(joinLater = false) {
  const far: Recorder[] = [];
  const agentSide = await linkPair({
    dialler: {
      onChannel: (channel) => {
        const recorder = new Recorder();
        recorder.channel = channel;
        channel.setHandler(recorder);
        far.push(recorder);
        channel.accept();
      },
      onClose: () => {},
    },
  });
  const waiting: Channel[] = [];
  const joined: Joined[] = [];
  const ends: (TunnelError | undefined)[] = [];
  const clientSide = await linkPair({
    acceptor: {
      onChannel: (channel) => {
        if (joinLater) waiting.push(channel);
        else {
          joined.push(
            joinChannel(channel, agentSide.acceptor, {}, { onEnd: (error) => ends.push(error) }),
          );
        }
      },
      onClose: () => {},
    },
  });
  const near = new Recorder();
  const channel = clientSide.dialler.open(OPTIONS, near);
  near.channel = channel;
  return { near, channel, far, waiting, joined, ends, client: clientSide, agent: agentSide };
}

test('a switched channel carries bytes both ways, end to end, and closes in order', async () => {
  const { near, channel, far, client, agent } = await relayed();
  await near.until((r) => r.opened);
  const up = randomBytes(3_000_000);
  const down = randomBytes(5_000_000);
  const target = far[0]!;
  channel.write(up);
  channel.end();
  target.channel!.write(down);
  target.channel!.end();
  await near.until((r) => r.closed);
  await target.until((r) => r.closed);
  assert.ok(target.received.equals(up));
  assert.ok(near.received.equals(down));
  assert.equal(near.error, undefined);
  assert.equal(target.channel!.uid, channel.uid);
  assert.deepEqual(target.channel!.principal, OPTIONS.principal);
  assert.deepEqual(target.channel!.metadata, OPTIONS.metadata);
  for (const link of [client.dialler, client.acceptor, agent.dialler, agent.acceptor]) {
    while (link.stats.channels > 0) await turn();
  }
});

test('what came before the route was known is passed on', async () => {
  const { channel, far, waiting, agent } = await relayed(true);
  channel.write(Buffer.from('hello '));
  channel.write(Buffer.from('world'));
  channel.end();
  while (waiting.length === 0) await turn();
  for (let i = 0; i < 10; i++) await turn();
  joinChannel(waiting[0]!, agent.acceptor);
  while (far.length === 0) await turn();
  await far[0]!.until((r) => r.ended);
  assert.equal(far[0]!.received.toString(), 'hello world');
});

test('a target that does not read bounds what the switch holds', async () => {
  const { near, channel, far, client, agent } = await relayed();
  await near.until((r) => r.opened);
  far[0]!.reading = false;
  for (let i = 0; i < 64; i++) channel.write(Buffer.alloc(256 * 1024));
  for (let i = 0; i < 200; i++) await turn();
  const held = agent.acceptor.stats.queuedBytes + client.acceptor.stats.queuedBytes;
  assert.ok(held <= SWITCH_BUDGET_BYTES, `${held} bytes held`);
  far[0]!.reading = true;
  far[0]!.channel!.consumed(far[0]!.bytes);
  await far[0]!.until((r) => r.bytes === 64 * 256 * 1024);
});

test('a slow outgoing link bounds what the switch holds, and all arrives', async () => {
  const { near, channel, far, agent } = await relayed();
  await near.until((r) => r.opened);
  const [, relayToAgent] = agent.transports;
  const send = relayToAgent.send.bind(relayToAgent);
  const held: Buffer[][] = [];
  relayToAgent.send = (chunks) => held.push(chunks);
  for (let i = 0; i < 32; i++) channel.write(Buffer.alloc(256 * 1024));
  for (let i = 0; i < 200; i++) await turn();
  assert.ok(agent.acceptor.stats.queuedBytes <= SWITCH_BUDGET_BYTES);
  relayToAgent.send = send;
  for (const chunks of held) send(chunks);
  await far[0]!.until((r) => r.bytes === 32 * 256 * 1024);
});

test('a reset, and the loss of either link, reach the other side with their reason', async () => {
  const first = await relayed();
  await first.near.until((r) => r.opened);
  first.far[0]!.channel!.reset('target-closed', 'The app closed its connection.');
  await first.near.until((r) => r.closed);
  assert.equal(first.near.error?.code, 'target-closed');
  assert.equal(first.near.error?.message, 'The app closed its connection.');

  const second = await relayed();
  await second.near.until((r) => r.opened);
  second.agent.dialler.close(new TunnelError('link-lost', 'gone'));
  await second.near.until((r) => r.closed);
  assert.equal(second.near.error?.code, 'agent-gone');

  const third = await relayed();
  await third.near.until((r) => r.opened);
  third.client.dialler.close(new TunnelError('link-lost', 'gone'));
  await third.far[0]!.until((r) => r.closed);
  assert.equal(third.agent.acceptor.stats.channels, 0);
});

test('the switch itself can cut a channel: both ends learn why, and it counts as ended', async () => {
  const { near, far, joined, ends, agent, client } = await relayed();
  await near.until((r) => r.opened);
  joined[0]!.reset('revoked', 'The token was revoked.');
  joined[0]!.reset('revoked', 'Twice is no fault.');
  await near.until((r) => r.closed);
  await far[0]!.until((r) => r.closed);
  for (const end of [near, far[0]!]) {
    assert.deepEqual(
      [end.error?.code, end.error?.message, end.error?.remote],
      ['revoked', 'The token was revoked.', true],
    );
  }
  assert.ok(joined[0]!.closed);
  assert.deepEqual(ends, []);
  assert.equal(agent.acceptor.stats.channels + client.acceptor.stats.channels, 0);
});

test('the owner of the switch hears how each channel ended', async () => {
  const inOrder = await relayed();
  inOrder.channel.end();
  await inOrder.far[0]?.until((r) => r.ended);
  await inOrder.near.until((r) => r.opened);
  inOrder.far[0]!.channel!.end();
  await inOrder.near.until((r) => r.closed);
  assert.deepEqual(inOrder.ends, [undefined]);

  const cut = await relayed();
  await cut.near.until((r) => r.opened);
  cut.agent.dialler.close(new TunnelError('link-lost', 'gone'));
  await cut.near.until((r) => r.closed);
  assert.equal(cut.ends.length, 1);
  assert.ok(cut.ends[0] instanceof TunnelError);
});

for (const [name, frame] of [
  ['Opened', { case: 'opened', value: { channel: 1, initialWindow: 1n } }],
  ['Resumed', { case: 'resumed', value: { channel: 1, received: 0n, limit: 1n, ended: false } }],
] as const) {
  test(`${name} from the opener's side ends the opener's link, not the agent's`, async () => {
    const { near, client, agent } = await relayed();
    await near.until((r) => r.opened);
    (client.dialler as LinkCore).send(frame);
    await near.until((r) => r.closed);
    assert.equal(client.acceptor.closed, true);
    assert.equal(agent.acceptor.closed, false);
    assert.equal(agent.dialler.closed, false);
  });
}
