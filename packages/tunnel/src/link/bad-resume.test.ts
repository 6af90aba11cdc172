// Who asks for a channel that is not theirs, or from where it never was: refused by name, and the channel goes on.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import type { TunnelError } from '../errors.ts';
import type { Resume } from '../gen/burrow/tunnel/v1/tunnel_pb.js';
import { Recorder, TEST_HELLO, TEST_WELCOME, transportPair } from '../testing/index.ts';
import type { Channel } from '../types.ts';
import type { Endpoint } from './endpoint.ts';
import { greetAsAcceptor, greetAsDialler } from './handshake.ts';
import { ChannelKeeper } from './keeper.ts';
import type { LinkCore } from './link.ts';

const OWNER = { userId: 'u-ann', username: 'ann' };

type Asked = Partial<Pick<Resume, 'uid' | 'epoch' | 'received' | 'ended' | 'ageMs'>> & {
  readonly principal?: typeof OWNER;
};

/** An agent with two links to relays, and a channel of ann's over the first. */
async function stand() {
  const keeper = new ChannelKeeper();
  const atAgent: Recorder[] = [];
  const handler = {
    onChannel(channel: Channel) {
      const recorder = new Recorder();
      recorder.channel = channel;
      channel.setHandler(recorder);
      atAgent.push(recorder);
      channel.accept();
    },
    onClose() {},
  };
  const link = async (): Promise<LinkCore> => {
    const [agent, relay] = transportPair();
    const [, accepted] = await Promise.all([
      greetAsDialler(agent, {
        hello: TEST_HELLO,
        handler,
        keeper,
        signal: AbortSignal.timeout(5_000),
      }),
      greetAsAcceptor(relay, { welcome: () => TEST_WELCOME, handler }),
    ]);
    return accepted!.link as LinkCore;
  };
  const [first, second] = [await link(), await link()];
  const ann = new Recorder();
  ann.channel = first.open(
    { target: { kind: 'tcp', port: 22 }, principal: OWNER, resumer: { onDetached() {} } },
    ann,
  );
  ann.channel.write(Buffer.from('hello'));
  await ann.until((r) => r.opened);
  await atAgent[0]!.until((r) => r.bytes === 5);
  /** What the agent answers. */
  const ask = (asked: Asked): Promise<TunnelError | 'resumed'> =>
    new Promise((resolve) => {
      const number = second.allocate();
      const endpoint = {
        number,
        onReset: resolve,
        onResumed: () => resolve('resumed'),
        onOpened() {},
        onLinkLost() {},
      };
      second.attach(endpoint as unknown as Endpoint, {
        case: 'resume',
        value: {
          channel: number,
          uid: Buffer.from(ann.channel!.uid, 'hex'),
          epoch: 2,
          received: 0n,
          limit: 1_000n,
          principal: OWNER,
          workload: '',
          ended: false,
          ageMs: 1n,
          ...asked,
        },
      });
    });
  return { ann, atAgent, ask };
}

const CASES: readonly [what: string, asked: Asked, code: string, says: RegExp][] = [
  ['somebody else', { principal: { userId: 'u-eve', username: 'ann' } }, 'not-allowed', /somebody/],
  ['more than was ever sent', { received: 1n << 40n }, 'protocol-error', /never had/],
  ['an attachment that is over', { epoch: 1 }, 'protocol-error', /epoch 2/],
  ['half a uid', { uid: randomBytes(8) }, 'protocol-error', /16 bytes/],
];

for (const [what, asked, code, says] of CASES) {
  test(`Resume for ${what} is refused, and the channel goes on`, async () => {
    const { ann, atAgent, ask } = await stand();
    const answer = await ask(asked);
    assert.ok(answer !== 'resumed');
    assert.equal(answer.code, code);
    assert.match(answer.message, says);
    ann.channel!.write(Buffer.from(' and on'));
    await atAgent[0]!.until((r) => r.bytes === 12);
    atAgent[0]!.channel!.write(Buffer.from('back'));
    await ann.until((r) => r.bytes === 4);
    assert.equal(ann.closed, false);
  });
}

test('Resume for a channel that nobody opened is told apart from one that was forgotten', async () => {
  const { ask } = await stand();
  const never = await ask({ uid: randomBytes(16) });
  assert.ok(never !== 'resumed');
  assert.equal(never.code, 'never-opened');
  const long = await ask({ uid: randomBytes(16), ageMs: 3_600_000n });
  assert.ok(long !== 'resumed');
  assert.equal(
    long.code,
    'unknown-channel',
    'older than this agent: it may have been there before',
  );
});

test('one byte beyond what was sent is impossible, the very end is not', async () => {
  const { ann, atAgent, ask } = await stand();
  atAgent[0]!.channel!.write(Buffer.alloc(1_000));
  await ann.until((r) => r.bytes === 1_000);
  const tooFar = await ask({ received: 1_001n });
  assert.ok(tooFar !== 'resumed');
  assert.equal(tooFar.code, 'protocol-error');
  assert.equal(await ask({ received: 1_000n, epoch: 3 }), 'resumed');
});
