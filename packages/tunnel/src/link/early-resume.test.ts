// A client that goes on with a channel before its agent has said from where: it harms nobody but itself.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TunnelError } from '../errors.ts';
import { linkPair, Recorder, TEST_HELLO, TEST_WELCOME, transportPair } from '../testing/index.ts';
import type { LinkHandler } from '../types.ts';
import type { FrameKind } from '../wire/encode.ts';
import { greetAsAcceptor, greetAsDialler } from './handshake.ts';
import { ChannelKeeper } from './keeper.ts';
import type { LinkCore } from './link.ts';
import { joinChannel, resumeChannel } from './switch.ts';

const OWNER = { userId: 'u-ann', username: 'ann' };

/** client, client ── relay ── agent; the first client has a channel that has carried 5 bytes. */
async function stand() {
  const ends = Promise.withResolvers<[whose: string, error: TunnelError]>();
  const ending = (whose: string): LinkHandler => ({
    onChannel() {},
    onClose: (error) => ends.resolve([whose, error]),
  });
  const atAgent: Recorder[] = [];
  const [agent, relay] = transportPair();
  const [, accepted] = await Promise.all([
    greetAsDialler(agent, {
      hello: TEST_HELLO,
      handler: {
        ...ending('agent'),
        onChannel(channel) {
          const recorder = new Recorder();
          recorder.channel = channel;
          atAgent.push(recorder);
          channel.setHandler(recorder);
          channel.accept();
        },
      },
      keeper: new ChannelKeeper(),
      signal: AbortSignal.timeout(5_000),
    }),
    greetAsAcceptor(relay, { welcome: () => TEST_WELCOME, handler: ending('agent') }),
  ]);
  const onward = accepted!.link;
  const acceptor: LinkHandler = {
    ...ending('client'),
    onChannel: (channel) => void joinChannel(channel, onward),
    onResume: (resume) => void resumeChannel(resume, onward),
  };
  const [first, second] = [await linkPair({ acceptor }), await linkPair({ acceptor })];
  const ann = new Recorder();
  ann.channel = first.dialler.open(
    { target: { kind: 'tcp', port: 22 }, principal: OWNER, resumer: { onDetached() {} } },
    ann,
  );
  ann.channel.write(Buffer.from('hello'));
  await ann.until((r) => r.opened);
  await atAgent[0]!.until((r) => r.bytes === 5);
  return { uid: ann.channel.uid, ends: ends.promise, onward, client: second.dialler as LinkCore };
}

const EARLY: readonly ((channel: number) => FrameKind)[] = [
  (channel) => ({ case: 'fin', value: { channel, offset: 0n } }),
  (channel) => ({ case: 'fin', value: { channel, offset: 5n } }),
  (channel) => ({ case: 'data', value: { channel, offset: 0n, payload: Buffer.from('x') } }),
];

for (const early of EARLY) {
  const { case: kind, value } = early(1);
  test(
    `${kind} at ${String((value as { offset: bigint }).offset)} before Resumed ends the client's link, not the agent's`,
    { timeout: 5_000 },
    async () => {
      const { uid, ends, onward, client } = await stand();
      const channel = client.allocate();
      client.send({
        case: 'resume',
        value: {
          ...{ channel, uid: Buffer.from(uid, 'hex'), epoch: 2, received: 0n, limit: 1_000n },
          ...{ principal: OWNER, workload: '', ended: false, ageMs: 1n },
        },
      });
      client.send(early(channel));
      const [whose, { code }] = await ends;
      assert.deepEqual([whose, code], ['client', 'protocol-error']);
      assert.equal(onward.closed, false);
    },
  );
}
