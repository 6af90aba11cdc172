import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BackOff, CAP_MS, FLOOR_MS, QUICK_MS } from './back-off.ts';

const highest = 0.999_999;

/** A clock that moves by what is waited. */
function after(random: number): { backOff: BackOff; readonly pass: (ms: number) => number } {
  let now = 0;
  const backOff = new BackOff(
    () => random,
    () => now,
  );
  return { backOff, pass: (ms) => ((now += ms), ms) };
}

test('failures wait up to 1, 1, 2, 4 … 20 s', () => {
  const { backOff, pass } = after(highest);
  const waits = Array.from({ length: 8 }, () =>
    Math.ceil(pass(backOff.afterFailure()) / 1000 - 0.01),
  );
  assert.deepEqual(waits, [1, 1, 2, 4, 8, 16, 20, 20]);
  assert.ok(backOff.afterFailure() <= CAP_MS);
});

test('dials that take long themselves do not hasten the growth', () => {
  const { backOff, pass } = after(highest);
  const waits = Array.from({ length: 7 }, () => {
    pass(10_000);
    return Math.ceil(backOff.afterFailure() / 1000);
  });
  assert.deepEqual(waits, [1, 2, 4, 8, 16, 20, 20]);
});

test('many quick failures: no wait is longer than the trouble has lasted', () => {
  const { backOff, pass } = after(highest);
  for (let i = 0; i < 10; i++) backOff.afterFailure();
  assert.ok(backOff.afterFailure() <= 1000);
  pass(5000);
  assert.ok(backOff.afterFailure() <= 5000);
});

test('jitter is full: anything from the floor on', () => {
  assert.equal(after(0).backOff.afterFailure(), FLOOR_MS);
});

test('after the loss of a stable link the first retry is quick, then waits grow', () => {
  const { backOff, pass } = after(highest);
  for (let i = 0; i < 6; i++) pass(backOff.afterFailure());
  assert.ok(pass(backOff.afterLoss(5_000)) < QUICK_MS);
  assert.ok(pass(backOff.afterFailure()) < 1000);
  pass(2000);
  assert.ok(backOff.afterFailure() >= 1000);
});

test('links that die young do not reset it', () => {
  const { backOff, pass } = after(highest);
  const waits = Array.from({ length: 5 }, () => pass(backOff.afterLoss(100)));
  assert.deepEqual(
    waits.map((ms) => Math.ceil(ms / 500 - 0.01)),
    [1, 2, 3, 6, 12],
  );
});
