import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { TunnelError } from '../errors.ts';
import { ChannelKeeper } from '../link/keeper.ts';
import { createResumer } from '../link/resumer.ts';
import { joinChannel } from '../link/switch.ts';
import { greetAsAcceptor, greetAsDialler } from '../link/handshake.ts';
import { linkPair, Recorder, TEST_HELLO, TEST_WELCOME, transportPair } from '../testing/index.ts';
import type { Link, LinkHandler, OpenOptions } from '../types.ts';
import { channelsOn, traceChannel, type ChannelEvent } from './index.ts';
import { traces } from './traces.ts';

const OPEN: OpenOptions = {
  target: { kind: 'tcp', port: 3000 },
  principal: { userId: 'u-ann', username: 'ann' },
};

/** Takes every channel, and keeps what arrives. */
function agent(at: Recorder[]): LinkHandler {
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

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function until(condition: () => boolean): Promise<void> {
  const late = performance.now() + 5_000;
  while (!condition()) {
    if (performance.now() > late) throw new Error('not in time');
    await turn();
  }
}

/** As a relay does that has these links, and will have what joins them. */
function watch(uid: string, links: readonly Link[], events: ChannelEvent[]): () => void {
  return traceChannel(uid, {
    links,
    owns: (link) => links.includes(link),
    listener: (event) => events.push(event),
  });
}

/** `to agent: data 0+5` */
function lineOf(event: ChannelEvent): string {
  if (event.kind !== 'frame') return event.kind;
  const { offset, length } = event.facts;
  const where = offset === undefined ? '' : ` ${offset}${length === undefined ? '' : `+${length}`}`;
  return `${event.sent ? 'to' : 'from'} ${event.side}: ${event.frame}${where}`;
}

describe('tracing a channel', () => {
  afterEach(() => assert.equal(traces.active, false, 'nothing goes on'));

  it('tells each frame at its opener’s end, and no payload', async () => {
    const at: Recorder[] = [];
    const { acceptor: link } = await linkPair({ dialler: agent(at) });
    const recorder = new Recorder();
    const channel = (recorder.channel = link.open(OPEN, recorder));
    const events: ChannelEvent[] = [];
    const stop = watch(channel.uid, [link], events);
    channel.write(Buffer.from('secret'));
    await until(() => at[0]?.bytes === 6);
    at[0]!.channel!.write(Buffer.from('answer!'));
    at[0]!.channel!.end();
    channel.end();
    await recorder.until(({ closed }) => closed);
    await until(() => events.some(({ kind }) => kind === 'over'));
    stop();
    const lines = events.map(lineOf);
    for (const line of [
      'to agent: open',
      'to agent: data 0+6',
      'from agent: opened',
      'from agent: data 0+7',
      'to agent: fin 6',
      'from agent: fin 7',
    ]) {
      assert.ok(lines.includes(line), `${line} in ${lines.join(', ')}`);
    }
    assert.ok(lines.includes('over'));
    assert.ok(
      !JSON.stringify(events.map(({ kind, ...rest }) => [kind, factsOf(rest)])).includes('secret'),
    );
    link.close(new TunnelError('cancelled', 'The test is over.'));
  });

  it('tells both sides of a switch, and who ended it with what words', async () => {
    const at: Recorder[] = [];
    const down = await linkPair({ dialler: agent(at) });
    const up = await linkPair({
      acceptor: {
        onChannel: (incoming) => void joinChannel(incoming, down.acceptor, { workload: 'a1' }),
        onClose() {},
      },
    });
    const recorder = new Recorder();
    const channel = (recorder.channel = up.dialler.open(OPEN, recorder));
    await recorder.until(({ opened }) => opened);
    const [near] = channelsOn(up.acceptor);
    assert.deepEqual(
      [near?.uid, near?.side, near?.workload, near?.epoch, near?.state],
      [channel.uid, 'opener', 'a1', 1, 'open'],
    );
    const events: ChannelEvent[] = [];
    const stop = watch(channel.uid, [up.acceptor, down.acceptor], events);
    channel.write(Buffer.from('hello'));
    await until(() => at[0]?.bytes === 5);
    const [far] = channelsOn(down.acceptor);
    assert.deepEqual([far?.side, far?.toAgent, far?.toOpener], ['agent', 5, 0]);
    at[0]!.channel!.reset('nothing-listens', 'Nothing listens on port 3000.');
    await recorder.until(({ closed }) => closed);
    await turn();
    stop();
    assert.deepEqual(events.map(lineOf), [
      'from opener: data 0+5',
      'to agent: data 0+5',
      'from agent: reset',
      'detached',
      'detached',
      'over',
      'to opener: reset',
    ]);
    assert.ok(events.every((event) => event.kind !== 'frame' || event.again === 0));
    const over = events.find((event) => event.kind === 'over');
    assert.equal(over?.code, 'nothing-listens');
    assert.equal(over.why, 'Nothing listens on port 3000.');
    assert.equal(over.link, up.acceptor);
    const left = events.filter((event) => event.kind === 'detached');
    assert.deepEqual(
      left.map(({ side, code }) => `${side} ${code}`),
      ['agent nothing-listens', 'opener nothing-listens'],
    );
    for (const { dialler } of [up, down]) dialler.close(new TunnelError('cancelled', 'Over.'));
  });

  it('follows it to another link, and says what is replayed', async () => {
    const at: Recorder[] = [];
    const keeper = new ChannelKeeper();
    const links: Link[] = [];
    const connect = async (): Promise<{ lose(): void; deaf(): void }> => {
      const [a, b] = transportPair();
      const [, accepted] = await Promise.all([
        greetAsDialler(a, {
          hello: TEST_HELLO,
          handler: agent(at),
          keeper,
          signal: AbortSignal.timeout(5_000),
        }),
        greetAsAcceptor(b, {
          welcome: () => TEST_WELCOME,
          handler: { onChannel() {}, onClose() {} },
        }),
      ]);
      links.unshift(accepted!.link);
      return {
        deaf: () => (b.filter = () => []),
        lose: () => a.close(new TunnelError('link-lost', 'The cable was pulled.')),
      };
    };
    const first = await connect();
    const resumer = createResumer({ findLink: async () => links.find((link) => !link.closed) });
    const recorder = new Recorder();
    const channel = (recorder.channel = links[0]!.open({ ...OPEN, resumer }, recorder));
    await recorder.until(({ opened }) => opened);
    channel.write(Buffer.alloc(1_000));
    await until(() => at[0]?.bytes === 1_000);
    const events: ChannelEvent[] = [];
    const stop = watch(channel.uid, links, events);
    first.deaf();
    channel.write(Buffer.alloc(500));
    await until(() => events.some((event) => lineOf(event) === 'to agent: data 1000+500'));
    first.lose();
    await until(() => events.some(({ kind }) => kind === 'detached'));
    await connect();
    await until(() => at[0]?.bytes === 1_500);
    const detached = events.find((event) => event.kind === 'detached');
    assert.deepEqual([detached?.code, detached?.why], ['link-lost', 'The cable was pulled.']);
    const attached = events.find((event) => event.kind === 'attached');
    assert.deepEqual([attached?.epoch, attached?.link], [2, links[0]]);
    const resumed = events.find((event) => event.kind === 'frame' && event.frame === 'resumed');
    assert.ok(resumed?.kind === 'frame');
    assert.deepEqual([resumed.facts.received, resumed.again], [1_000, 500]);
    const replayed = events.filter((event) => event.kind === 'frame' && event.again > 0);
    assert.deepEqual(replayed.map(lineOf), ['from agent: resumed', 'to agent: data 1000+500']);
    channel.reset('cancelled', 'The test is over.');
    const over = events.at(-1);
    assert.ok(over?.kind === 'over' && over.openedHere && over.code === 'cancelled');
    stop();
    stop();
    assert.equal((links[0] as unknown as { tap: unknown }).tap, undefined);
    links[0]!.close(new TunnelError('cancelled', 'The test is over.'));
  });

  it('lets no watcher break the channel', async () => {
    const at: Recorder[] = [];
    const { acceptor: link } = await linkPair({ dialler: agent(at) });
    const recorder = new Recorder();
    const channel = (recorder.channel = link.open(OPEN, recorder));
    let calls = 0;
    const stop = traceChannel(channel.uid, {
      links: [link],
      owns: () => false,
      listener() {
        calls += 1;
        throw new Error('broken');
      },
    });
    channel.write(Buffer.from('hello'));
    await until(() => at[0]?.bytes === 5);
    assert.deepEqual([calls, link.closed], [1, false]);
    stop();
    link.close(new TunnelError('cancelled', 'The test is over.'));
  });
});

function factsOf(event: object): unknown {
  return 'facts' in event ? event.facts : undefined;
}
