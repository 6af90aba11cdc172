import assert from 'node:assert/strict';
import { test } from 'node:test';

import fc from 'fast-check';

import { ReceiveWindow, SendWindow, WindowBudget } from './flow-control.ts';

const KiB = 1024;

test('a sender that keeps to its credit is never refused, and never stuck once all is consumed', () => {
  const step = fc.record({ send: fc.nat(400 * KiB), consume: fc.nat(400 * KiB), ms: fc.nat(50) });
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 60 }),
      fc.integer({ min: 1, max: 100 }),
      (steps, rtt) => {
        const receive = new ReceiveWindow(
          256 * KiB,
          4 * 1024 * KiB,
          new WindowBudget(64 * 1024 * KiB),
        );
        const send = new SendWindow(256 * KiB);
        let now = 0;
        const credit = (): void => {
          receive.credited();
          assert.ok(send.update(receive.consumed, receive.limit));
        };
        for (const { send: wanted, consume, ms } of steps) {
          now += ms;
          const bytes = Math.min(wanted, send.room);
          assert.ok(receive.accept(send.sent, bytes));
          send.sent += bytes;
          const taken = Math.min(consume, receive.received - receive.consumed);
          if (taken > 0 && receive.consume(taken, now, rtt)) credit();
          assert.ok(
            receive.limit - receive.consumed <= receive.window,
            'never promises more than its window',
          );
        }
        const rest = receive.received - receive.consumed;
        if (rest > 0) receive.consume(rest, now, rtt);
        if (receive.owesCredit) credit();
        assert.ok(send.room >= 256 * KiB);
        assert.equal(send.acked, send.sent);
      },
    ),
  );
});

test('the window grows while it is used up within two round trips, and stops at its cap', () => {
  const receive = new ReceiveWindow(256 * KiB, 1024 * KiB, new WindowBudget(64 * 1024 * KiB));
  let now = 0;
  for (let i = 0; i < 200; i++) {
    now += 5;
    receive.accept(receive.received, 64 * KiB);
    if (receive.consume(64 * KiB, now, 100)) receive.credited();
  }
  assert.equal(receive.window, 1024 * KiB);
});

test('a slow stream keeps the small window', () => {
  const receive = new ReceiveWindow(256 * KiB);
  let now = 0;
  for (let i = 0; i < 50; i++) {
    now += 500;
    receive.accept(receive.received, 64 * KiB);
    if (receive.consume(64 * KiB, now, 100)) receive.credited();
  }
  assert.equal(receive.window, 256 * KiB);
});

test('windows grow only within the budget, and give it back', () => {
  const budget = new WindowBudget(256 * KiB);
  const grow = (): ReceiveWindow => {
    const receive = new ReceiveWindow(256 * KiB, 4096 * KiB, budget);
    for (let i = 0; i < 100; i++) {
      receive.accept(receive.received, 64 * KiB);
      if (receive.consume(64 * KiB, i, 100)) receive.credited();
    }
    return receive;
  };
  const first = grow();
  assert.equal(first.window, 512 * KiB, 'the budget allows one doubling');
  assert.equal(grow().window, 256 * KiB, 'and none for the second');
  first.release();
  assert.equal(grow().window, 512 * KiB);
});

test('gaps, overlaps and more than the limit are refused', () => {
  const receive = new ReceiveWindow(100);
  assert.ok(receive.accept(0, 60));
  assert.ok(!receive.accept(61, 1));
  assert.ok(!receive.accept(59, 1));
  assert.ok(!receive.accept(60, 41));
  assert.ok(receive.accept(60, 40));
  assert.ok(!receive.acceptFin(99));
  assert.ok(receive.acceptFin(100), 'Fin needs no credit');
});

test('old credit is ignored, impossible credit is refused', () => {
  const send = new SendWindow(100);
  send.sent = 80;
  assert.ok(send.update(50, 300));
  assert.ok(send.update(40, 200));
  assert.deepEqual([send.acked, send.limit], [50, 300]);
  assert.ok(!send.update(81, 400), 'acknowledges what was never sent');
});
