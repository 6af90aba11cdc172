import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Pacer, SLACK_MS } from './pacer.ts';

/** A line of `rate` bytes per ms and `delay` ms each way, with an endless queue; simulated ms by ms. */
function simulate(
  rateNow: number | ((now: number) => number),
  delay: number,
  ms: number,
  source: (now: number) => number = () => Infinity,
  jitter: (now: number) => number = () => 0,
) {
  const rateAt = typeof rateNow === 'number' ? () => rateNow : rateNow;
  const pacer = new Pacer();
  const inQueue: { bytes: number; token?: number }[] = [];
  const pongs: { token: number; at: number }[] = [];
  let queued = 0;
  let token = 0;
  let delivered = 0;
  const queueMs: number[] = [];
  for (let now = 1; now <= ms; now++) {
    while (pongs.length > 0 && pongs[0]!.at <= now) pacer.onPong(pongs.shift()!.token, now);
    let wanted = source(now);
    for (;;) {
      const bytes = Math.min(pacer.sliceBytes, pacer.room(now), wanted);
      if (bytes === 0) break;
      wanted -= bytes;
      pacer.onSent(bytes, now);
      queued += bytes;
      inQueue.push({ bytes });
      if (pacer.wantsProbe) {
        pacer.onProbe(++token, now);
        inQueue.push({ bytes: 0, token });
      }
    }
    const rate = rateAt(now);
    let budget = rate;
    while (inQueue.length > 0) {
      const head = inQueue[0]!;
      const part = Math.min(budget, head.bytes);
      head.bytes -= part;
      budget -= part;
      queued -= part;
      delivered += part;
      if (head.bytes > 0) break;
      inQueue.shift();
      if (head.token !== undefined)
        pongs.push({ token: head.token, at: now + 2 * delay + jitter(now) });
    }
    queueMs.push(queued / rate);
  }
  return { pacer, delivered, queueMs };
}

function percentile(values: number[], p: number): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length * p)]!;
}

for (const [name, rate, delay] of [
  ['200 Mbit/s, 100 ms', 25_000, 50],
  ['20 Mbit/s, 30 ms', 2_500, 15],
  ['1 Gbit/s, 2 ms', 125_000, 1],
] as const) {
  test(`a line of ${name} is kept busy with a short queue`, () => {
    const { delivered, queueMs } = simulate(rate, delay, 30_000);
    assert.ok(
      delivered >= 0.9 * rate * 30_000,
      `only ${((delivered / rate / 30_000) * 100).toFixed(1)} % used`,
    );
    const settled = queueMs.slice(2_000);
    // 64 KiB is the least the pacer keeps in flight.
    const allowed = Math.max(SLACK_MS + 6, (2 * 64 * 1024) / rate);
    assert.ok(
      percentile(settled, 0.99) <= allowed,
      `queue p99 ${percentile(settled, 0.99).toFixed(1)} ms`,
    );
  });
}

test('jitter does not end the start too early', () => {
  // Up to 30 ms more, now and then: a busy machine, a radio.
  const jitter = (now: number): number => (now % 37 < 9 ? 30 : now % 5);
  const { delivered } = simulate(25_000, 50, 5_000, undefined, jitter);
  assert.ok(delivered > 0.7 * 25_000 * 5_000, `${(delivered / 25_000 / 5_000).toFixed(2)} used`);
});

test('the line is found within its first second', () => {
  const { delivered } = simulate(25_000, 50, 1_000);
  assert.ok(delivered > 0.4 * 25_000 * 1_000, `${(delivered / 25_000 / 1_000).toFixed(2)} used`);
});

test('a line that becomes slower is noticed within seconds', () => {
  const { queueMs } = simulate((now) => (now < 10_000 ? 25_000 : 5_000), 50, 20_000);
  assert.ok(
    percentile(queueMs.slice(15_000), 0.99) <= SLACK_MS + 15,
    `${percentile(queueMs.slice(15_000), 0.99)}`,
  );
});

test('a line that becomes faster is used again within seconds', () => {
  const { delivered } = simulate((now) => (now < 10_000 ? 5_000 : 25_000), 50, 40_000);
  const possible = 10_000 * 5_000 + 30_000 * 25_000;
  assert.ok(
    delivered > 0.8 * possible,
    `${(delivered / possible).toFixed(2)} of what was possible`,
  );
});

test('a sender with little to say does not forget the rate of the line', () => {
  const { pacer } = simulate(25_000, 50, 40_000, (now) => (now < 10_000 ? Infinity : 100));
  assert.ok(pacer.windowBytes > 25_000 * 100 * 0.7, `${pacer.windowBytes}`);
});

test('a Pong nobody asked for changes nothing', () => {
  const pacer = new Pacer();
  const before = pacer.windowBytes;
  pacer.onPong(12345, 10);
  assert.equal(pacer.windowBytes, before);
  assert.equal(pacer.inFlight, 0);
});

test('a fast line is asked about once in a ms, and not for every slice', () => {
  const KiB = 1024;
  const pacer = new Pacer();
  const send = (bytes: number): boolean => {
    pacer.onSent(bytes, 1);
    return pacer.wantsProbe;
  };
  pacer.onSent(256 * KiB, 0);
  pacer.onProbe(1, 0);
  // 256 KiB in a ms.
  pacer.onPong(1, 1);
  assert.ok(send(1), 'nothing is under way that would confirm it');
  pacer.onProbe(2, 1);
  assert.ok(!send(200 * KiB));
  assert.ok(send(56 * KiB));
});
