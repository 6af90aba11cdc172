import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Pace } from './pace.ts';

test('a second’s worth goes at once, the rest in order and no faster than that', () => {
  let now = 5_000;
  const pace = new Pace(10, () => now);
  const waits = Array.from({ length: 13 }, () => pace.take());
  assert.deepEqual(waits, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 100, 200, 300]);
  // After 500 ms five more would be free, of which three are spoken for.
  now += 500;
  assert.deepEqual([pace.take(), pace.take(), pace.take()], [0, 0, 100]);
  now += 60_000;
  assert.deepEqual(
    Array.from({ length: 11 }, () => pace.take()),
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 100],
  );
});

test('waiting ends with its signal', async () => {
  const pace = new Pace(1, () => 0);
  const over = new AbortController();
  await pace.turn(over.signal);
  const waiting = pace.turn(over.signal);
  over.abort();
  await assert.rejects(waiting, { name: 'AbortError' });
});
