import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { InOrder } from './in-order.ts';

const item = (second: number, what: string) => ({
  at: `2026-01-01T00:00:0${second}.000Z`,
  what,
});

function started(t: TestContext) {
  let now = 0;
  t.mock.timers.enable({ apis: ['setTimeout'] });
  t.mock.method(performance, 'now', () => now);
  const printed: string[] = [];
  const order = new InOrder<ReturnType<typeof item>>({
    print: ({ what }) => printed.push(what),
    holdMs: 100,
  });
  const tick = (ms: number): void => {
    now += ms;
    t.mock.timers.tick(ms);
  };
  return { order, printed, tick };
}

test('what comes a little late stands where it belongs', (t) => {
  const { order, printed, tick } = started(t);
  order.push(item(2, 'b1'));
  order.push(item(2, 'b2'));
  tick(50);
  order.push(item(1, 'a'));
  order.push(item(3, 'c'));
  assert.deepEqual(printed, []);
  tick(50);
  assert.deepEqual(printed, ['a', 'b1', 'b2']);
  tick(49);
  assert.equal(printed.length, 3);
  tick(1);
  assert.deepEqual(printed, ['a', 'b1', 'b2', 'c']);
});

test('a clock that is wrong holds nothing up', (t) => {
  const { order, printed, tick } = started(t);
  order.push(item(9, 'ahead'));
  tick(50);
  order.push(item(1, 'right'));
  tick(50);
  assert.deepEqual(printed, ['right', 'ahead']);
});

test('at the end everything is printed at once', (t) => {
  const { order, printed, tick } = started(t);
  order.push(item(2, 'b'));
  order.push(item(1, 'a'));
  order.flush();
  order.flush();
  assert.deepEqual(printed, ['a', 'b']);
  tick(1_000);
  assert.equal(printed.length, 2);
});
