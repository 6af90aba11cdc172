import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BackOff, CAP_MS, FLOOR_MS, QUICK_MS } from './back-off.ts';

const highest = 0.999_999;

test('failures wait up to 1, 2, 4 … 20 s', () => {
  const backOff = new BackOff(() => highest);
  const waits = Array.from({ length: 8 }, () => Math.ceil(backOff.afterFailure() / 1000));
  assert.deepEqual(waits, [1, 2, 4, 8, 16, 20, 20, 20]);
  assert.ok(backOff.afterFailure() <= CAP_MS);
});

test('jitter is full: anything from the floor on', () => {
  const backOff = new BackOff(() => 0);
  assert.equal(backOff.afterFailure(), FLOOR_MS);
});

test('after the loss of a stable link the first retry is quick, then waits grow', () => {
  const backOff = new BackOff(() => highest);
  for (let i = 0; i < 6; i++) backOff.afterFailure();
  assert.ok(backOff.afterLoss(30_000) < QUICK_MS);
  assert.ok(backOff.afterFailure() < 1000);
  assert.ok(backOff.afterFailure() >= 1000);
});

test('links that die young do not reset it', () => {
  const backOff = new BackOff(() => highest);
  const waits = Array.from({ length: 4 }, () => backOff.afterLoss(100));
  assert.deepEqual(
    waits.map((ms) => Math.ceil(ms / 500)),
    [1, 2, 4, 8],
  );
});
