import assert from 'node:assert/strict';
import { test } from 'node:test';

import fc from 'fast-check';

import { Fifo } from './fifo.ts';
import { Scheduler } from './scheduler.ts';
import type { Sender } from './scheduler.ts';
import { TrafficMeter } from './traffic-meter.ts';

class Source implements Sender {
  readonly name: string;
  bulk: boolean;
  sendable = true;

  constructor(name: string, bulk: boolean) {
    this.name = name;
    this.bulk = bulk;
  }

  isBulk(): boolean {
    return this.bulk;
  }
}

test('senders of a class take turns', () => {
  const scheduler = new Scheduler<Source>();
  const sources = ['a', 'b', 'c'].map((name) => new Source(name, true));
  for (const source of sources) scheduler.add(source, 0);
  let order = '';
  for (let i = 0; i < 9; i++) {
    const next = scheduler.nextBulk()!;
    order += next.name;
    scheduler.add(next, 0);
  }
  assert.equal(order, 'abcabcabc');
});

test('a sender that became bulk while it waited moves to the bulk queue', () => {
  const scheduler = new Scheduler<Source>();
  const source = new Source('a', false);
  scheduler.add(source, 0);
  source.bulk = true;
  assert.equal(scheduler.nextInteractive(0), undefined);
  assert.equal(scheduler.nextBulk(), source);
});

test('a removed sender never gets a turn; adding twice gives one turn', () => {
  const scheduler = new Scheduler<Source>();
  const [a, b] = [new Source('a', false), new Source('b', false)];
  scheduler.add(a, 0);
  scheduler.add(a, 0);
  scheduler.add(b, 0);
  scheduler.remove(a);
  assert.equal(scheduler.nextInteractive(0), b);
  assert.equal(scheduler.nextInteractive(0), undefined);
});

test('a Fifo is an array with push and shift', () => {
  fc.assert(
    fc.property(fc.array(fc.option(fc.nat()), { maxLength: 500 }), (steps) => {
      const fifo = new Fifo<number>();
      const model: number[] = [];
      for (const step of steps) {
        if (step === null) assert.equal(fifo.shift(), model.shift());
        else {
          fifo.push(step);
          model.push(step);
        }
        assert.equal(fifo.size, model.length);
      }
    }),
  );
});

test('a channel declared interactive that copies counts as bulk until it calms down', () => {
  const meter = new TrafficMeter('interactive');
  let now = 0;
  assert.ok(!meter.isBulk(now));
  for (let i = 0; i < 100; i++) meter.sent(64 * 1024, (now += 1));
  assert.ok(meter.isBulk(now));
  now += 2_000;
  assert.ok(!meter.isBulk(now));
});

test('keystrokes never count as bulk', () => {
  const meter = new TrafficMeter('auto');
  for (let now = 0; now < 60_000; now += 10) {
    meter.sent(200, now);
    assert.ok(!meter.isBulk(now));
  }
});
