import assert from 'node:assert/strict';
import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import type { TraceEvent } from '@burrow/api';
import { LineQueue } from './line-queue.ts';
import { pump } from './pump.ts';

const where = { at: '2026-01-01T00:00:00.000Z', relay: 'r1' };
const event = (reason: string): TraceEvent => ({ event: 'away', ...where, reason });

function started(highWaterMark: number, everyMs = 60_000) {
  const queue = new LineQueue({ waitingFrames: 10, waitingEvents: 10 }, (count) => ({
    ...{ event: 'lost', ...where, count },
  }));
  const to = new PassThrough({ highWaterMark });
  const finish = pump(queue, to, { flushMs: 2, idle: { line: '', everyMs } });
  return { queue, to, finish };
}

const reasonsIn = (text: string): unknown[] =>
  text
    .split('\n')
    .filter(Boolean)
    .map((line) => {
      const parsed = JSON.parse(line) as { reason?: string; count?: number };
      return parsed.reason ?? parsed.count;
    });

test('a watcher that does not read makes the queue lose, not grow', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const { queue, to, finish } = started(1);
  queue.push(event('first'));
  t.mock.timers.tick(2);
  await once(to, 'readable');
  for (let i = 0; i < 100; i += 1) queue.push(event(`later ${i}`));
  t.mock.timers.tick(1_000);
  assert.equal(queue.size, 11);
  assert.deepEqual(reasonsIn(String(to.read())), ['first']);
  const rest = (async () => {
    let text = '';
    for await (const chunk of to) text += String(chunk);
    return reasonsIn(text);
  })();
  finish();
  finish();
  const reasons = await rest;
  assert.equal(reasons.length, 11);
  assert.deepEqual(reasons.slice(-2), ['later 9', 90]);
});

test('silence is broken by an empty line', async () => {
  const { to, finish } = started(1024, 5);
  await once(to, 'readable');
  assert.equal(String(to.read())[0], '\n');
  finish();
});
