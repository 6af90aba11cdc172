import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';

import fc from 'fast-check';

import { TunnelError } from '../errors.ts';
import { INITIAL_WINDOW_BYTES, LIVENESS_GRAIN_MS, WRITE_HIGH_WATER_BYTES } from '../limits.ts';
import { checkAll } from './liveness.ts';
import { linkPair, Recorder } from '../testing/index.ts';
import type { Channel, Link, LinkHandler, OpenOptions } from '../types.ts';
import { Batch } from '../wire/encode.ts';

const OPTIONS: OpenOptions = {
  target: { kind: 'tcp', port: 3000 },
  principal: { userId: 'u1', username: 'ann' },
};

/** A pair of links; each channel opened by the acceptor meets a Recorder on the dialler's side. */
async function pair(onChannel?: (channel: Channel, far: Recorder) => void) {
  const far: Recorder[] = [];
  let lost: TunnelError | undefined;
  const links = await linkPair({
    dialler: {
      onChannel: (channel) => {
        const recorder = new Recorder();
        recorder.channel = channel;
        far.push(recorder);
        channel.setHandler(recorder);
        if (onChannel === undefined) channel.accept();
        else onChannel(channel, recorder);
      },
      onClose: () => {},
    },
    acceptor: {
      onChannel: (channel) => channel.reset('unsupported', 'no'),
      onClose: (error) => (lost = error),
    },
  });
  return { ...links, far, lost: () => lost };
}

function open(
  link: Link,
  options: Partial<OpenOptions> = {},
): { channel: Channel; near: Recorder } {
  const near = new Recorder();
  const channel = link.open({ ...OPTIONS, ...options }, near);
  near.channel = channel;
  return { channel, near };
}

test('a channel carries bytes both ways, then closes in order after both halves ended', async () => {
  const { acceptor, far } = await pair();
  const { channel, near } = open(acceptor, { metadata: { color: 'blue' } });
  channel.write(Buffer.from('early, before Opened'));
  await near.until((r) => r.opened);
  const target = far[0]!;
  await target.until((r) => r.bytes === 20);
  assert.deepEqual(target.channel!.target, OPTIONS.target);
  assert.deepEqual(target.channel!.principal, OPTIONS.principal);
  assert.deepEqual(target.channel!.metadata, { color: 'blue' });
  assert.equal(target.channel!.uid, channel.uid);
  channel.end();
  await target.until((r) => r.ended);
  assert.ok(!near.closed && !target.closed, 'one half is still open');
  target.channel!.write(Buffer.from('answer after the end'));
  target.channel!.end();
  await near.until((r) => r.closed);
  await target.until((r) => r.closed);
  assert.equal(near.received.toString(), 'answer after the end');
  assert.equal(near.error, undefined);
  assert.equal(acceptor.stats.channels, 0);
});

test('bytes arrive whole and in order, however the transport cuts them', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 150_000 }), { minLength: 1, maxLength: 8 }),
      fc.integer({ min: 1, max: 70_000 }),
      async (sizes, cut) => {
        const { acceptor, far, transports } = await pair();
        transports[1].filter = (bytes) => {
          const parts: Buffer[] = [];
          for (let at = 0; at < bytes.length; at += cut) parts.push(bytes.subarray(at, at + cut));
          return parts;
        };
        const { channel } = open(acceptor);
        const chunks = sizes.map((size) => randomBytes(size));
        for (const chunk of chunks) channel.write(Buffer.from(chunk));
        channel.end();
        while (far.length === 0) await turn();
        await far[0]!.until((r) => r.ended);
        assert.ok(far[0]!.received.equals(Buffer.concat(chunks)));
        acceptor.close(new TunnelError('cancelled', 'done'));
      },
    ),
    { numRuns: 25 },
  );
});

test('a reset says who closed the channel and why, and ends both sides', async () => {
  const { acceptor, far } = await pair((channel) =>
    channel.reset('nothing-listens', 'Nothing listens on port 3000 in the workload.'),
  );
  const { near } = open(acceptor);
  await near.until((r) => r.closed);
  assert.equal(near.error?.code, 'nothing-listens');
  assert.equal(near.error?.message, 'Nothing listens on port 3000 in the workload.');
  assert.ok(near.error?.remote);
  assert.ok(!far[0]!.closed, 'who resets is not told of it');
});

test('a reader that does not read holds back its own channel only', async () => {
  const { acceptor, far } = await pair();
  const slow = open(acceptor);
  const fast = open(acceptor);
  await slow.near.until((r) => r.opened);
  await fast.near.until((r) => r.opened);
  const [slowFar, fastFar] = far as [Recorder, Recorder];
  slowFar.reading = false;
  const mib = Buffer.alloc(1024 * 1024);
  let goOn = true;
  for (let i = 0; i < 10; i++) goOn = slow.channel.write(mib);
  assert.ok(!goOn, 'write says when to stop');
  for (let i = 0; i < 8; i++) fast.channel.write(Buffer.from(mib));
  await fastFar.until((r) => r.bytes === 8 * mib.length);
  assert.equal(slowFar.bytes, INITIAL_WINDOW_BYTES, 'no more than its credit');
  assert.ok(acceptor.stats.stalls > 0);
  slowFar.reading = true;
  slowFar.channel!.consumed(slowFar.bytes);
  await slowFar.until((r) => r.bytes === 10 * mib.length);
  await slow.near.until((r) => r.writable > 0);
});

test('write answers false above the high mark, and onWritable comes once there is room', async () => {
  const { acceptor } = await pair();
  const { channel, near } = open(acceptor);
  assert.ok(channel.write(Buffer.alloc(WRITE_HIGH_WATER_BYTES)));
  assert.ok(!channel.write(Buffer.alloc(1)));
  assert.equal(near.writable, 0, 'never from inside a call');
  await near.until((r) => r.writable === 1);
  assert.ok(channel.write(Buffer.alloc(1)));
});

test('thousands of channels opened and cancelled at every stage leave nothing behind', async () => {
  const { acceptor, dialler, far } = await pair();
  const live: Channel[] = [];
  for (let i = 0; i < 3000; i++) {
    const { channel } = open(acceptor);
    channel.write(Buffer.alloc(1 + (i % 5000)));
    if (i % 3 === 0) channel.reset('cancelled', 'at once');
    else live.push(channel);
    if (i % 500 === 0) await turn();
  }
  for (const [i, channel] of live.entries()) {
    if (i % 2 === 0) channel.end();
    channel.reset('cancelled', 'later');
    channel.reset('cancelled', 'twice');
  }
  const last = open(acceptor);
  await last.near.until((r) => r.opened);
  assert.equal(acceptor.stats.channels, 1);
  assert.equal(acceptor.stats.queuedBytes, 0, 'what was queued is no longer counted');
  assert.equal(dialler.stats.channels, 1);
  assert.equal(far.filter((r) => !r.closed).length, 1);
});

test('interactive bytes overtake queued bulk', async () => {
  const order: string[] = [];
  const { acceptor, far } = await pair();
  const bulk = open(acceptor, { traffic: 'bulk' });
  const keys = open(acceptor, { traffic: 'interactive' });
  await keys.near.until((r) => r.opened);
  const watch = (recorder: Recorder, name: string): void => {
    const onData = recorder.onData.bind(recorder);
    recorder.onData = (chunk) => {
      order.push(name);
      onData(chunk);
    };
  };
  watch(far[0]!, 'bulk');
  watch(far[1]!, 'key');
  for (let i = 0; i < 16; i++) bulk.channel.write(Buffer.alloc(16 * 1024));
  keys.channel.write(Buffer.from('k'));
  await far[0]!.until((r) => r.bytes === 16 * 16 * 1024);
  assert.equal(order[0], 'key');
});

test('channels beyond the cap, on a draining link or on a lost one are refused', async () => {
  const { acceptor, dialler, lost } = await pair();
  for (let i = 0; i < 4096; i++) open(acceptor);
  assert.throws(() => open(acceptor), { code: 'limit' });
  const drained = await pair();
  let told = '';
  const links = await linkPair({
    dialler: {
      onChannel: () => {},
      onClose: () => {},
      onDrain: (_ms, reason) => (told = reason),
    } satisfies LinkHandler,
  });
  links.acceptor.drain(1000, 'restart');
  assert.throws(() => open(links.acceptor), { code: 'draining' });
  while (told === '') await turn();
  assert.equal(told, 'restart');
  assert.ok(links.dialler.draining);
  drained.acceptor.close(new TunnelError('revoked', 'The token was revoked.'));
  assert.throws(() => open(drained.acceptor), { code: 'link-lost' });
  dialler.close(new TunnelError('cancelled', 'bye'));
  while (lost() === undefined) await turn();
});

test('a channel that was opened before the Drain was heard is served', async () => {
  const served = new Recorder();
  const links = await linkPair({
    dialler: {
      onChannel: (channel) => {
        served.channel = channel;
        channel.setHandler(served);
        channel.accept();
      },
      onClose: () => {},
    },
  });
  links.dialler.drain(1000, 'Another link reaches this relay');
  const near = new Recorder();
  near.channel = links.acceptor.open(
    { target: { kind: 'tcp', port: 1 }, principal: { userId: 'u', username: 'ann' } },
    near,
  );
  await near.until((r) => r.opened);
  near.channel.end();
  await served.until((r) => r.ended);
  assert.ok(links.acceptor.draining);
});

test('metadata over its caps is refused before anything is sent', async () => {
  const { acceptor } = await pair();
  const many = Object.fromEntries(Array.from({ length: 17 }, (_, i) => [`k${i}`, 'v']));
  assert.throws(() => open(acceptor, { metadata: many }), { code: 'limit' });
  assert.throws(() => open(acceptor, { metadata: { k: 'x'.repeat(4096) } }), { code: 'limit' });
});

test('a lost link tells every channel, once', async () => {
  const { acceptor, dialler, far } = await pair();
  const channels = Array.from({ length: 10 }, () => open(acceptor));
  await channels[9]!.near.until((r) => r.opened);
  dialler.close(new TunnelError('link-lost', 'The cable was pulled.'));
  for (const { near } of channels) {
    await near.until((r) => r.closed);
    assert.equal(near.error?.code, 'link-lost');
  }
  assert.ok(far.every((r) => r.closed));
});

function frames(fill: (batch: Batch) => void): Buffer {
  const batch = new Batch();
  fill(batch);
  return Buffer.concat(batch.take());
}

for (const [name, bytes] of [
  ['data for a channel that was never opened', frames((b) => b.data(99, 0, Buffer.from('x')))],
  [
    'data beyond its credit',
    frames((b) => {
      for (let at = 0; at <= INITIAL_WINDOW_BYTES; at += 65_536)
        b.data(2, at, Buffer.alloc(65_536));
    }),
  ],
  ['data with a gap', frames((b) => b.data(2, 7, Buffer.from('x')))],
  [
    'a Fin out of place',
    frames((b) => b.control({ case: 'fin', value: { channel: 2, offset: 3n } })),
  ],
  ['an acknowledgement of what was never sent', frames((b) => b.credit(2, 5, 300_000))],
  ['a second greeting', frames((b) => b.control({ case: 'hello', value: { revision: 1 } }))],
  [
    'a channel opened with a number of the other side',
    frames((b) => b.control({ case: 'open', value: { channel: 4 } })),
  ],
  ['garbage', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
] as const) {
  test(`${name} ends the link, and nothing else`, async () => {
    const { acceptor, transports, lost } = await pair();
    const { near } = open(acceptor);
    await near.until((r) => r.opened);
    transports[1].inject(bytes);
    assert.equal(lost()?.code, 'protocol-error');
    assert.equal(near.error?.code, 'protocol-error');
    assert.ok(acceptor.closed);
  });
}

test('late frames for a closed channel are ignored', async () => {
  const { acceptor, transports, lost } = await pair();
  const { channel } = open(acceptor);
  channel.reset('cancelled', 'done');
  transports[1].inject(
    frames((b) => {
      b.data(2, 0, Buffer.from('late'));
      b.credit(2, 10, 300_000);
      b.control({ case: 'fin', value: { channel: 2, offset: 4n } });
    }),
  );
  assert.equal(lost(), undefined);
});

test('a peer that asks without reading is cut before memory is spent', async () => {
  const { acceptor, transports, lost } = await pair();
  // From now on nothing leaves the acceptor's side.
  transports[1].send = () => {};
  open(acceptor);
  await turn();
  const pings = frames((b) => {
    for (let i = 0; i < 1000; i++) b.control({ case: 'ping', value: { token: BigInt(i) } });
  });
  for (let i = 0; i < 20 && lost() === undefined; i++) transports[1].inject(pings);
  assert.equal(lost()?.code, 'limit');
});

test('a silent peer is noticed within 15 s', async () => {
  const { acceptor, transports, lost } = await pair();
  await turn();
  transports[0].send = () => {};
  const from = performance.now();
  for (let now = from; now < from + 15_000 && lost() === undefined; now += LIVENESS_GRAIN_MS)
    checkAll(now);
  assert.equal(lost()?.code, 'link-silent');
  assert.ok(acceptor.closed);
});

test('a peer that answers its pings stays, however idle', async () => {
  const { acceptor, dialler } = await pair();
  for (let minute = 1; minute <= 20; minute++) {
    checkAll(performance.now() + 9_000);
    // The Ping, its Pong, and what they cause, in memory.
    for (let j = 0; j < 6; j++) await turn();
  }
  assert.ok(!acceptor.closed && !dialler.closed);
});
