import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TraceEvent } from '@burrow/api';
import { LineQueue } from './line-queue.ts';

const where = { at: '2026-01-01T00:00:00.000Z', relay: 'r1' };
const on = { ...where, link: 'l1', with: 'agent' };
const frame: TraceEvent = { event: 'frame', ...on, direction: 'sent', frame: 'Data' };
const attached: TraceEvent = { event: 'attached', ...on, epoch: 2 };
const over: TraceEvent = { event: 'over', ...where, code: null, reason: 'Done.' };

const queueOf = (waitingFrames: number, waitingEvents: number): LineQueue =>
  new LineQueue({ waitingFrames, waitingEvents }, (count) => ({ event: 'lost', ...where, count }));

/** `frame frame lost 3` */
const told = (queue: LineQueue): string =>
  queue
    .take()
    .map((event) => (event.event === 'lost' ? `lost ${event.count}` : event.event))
    .join(' ');

test('frames beyond the cap are counted where they are missing; what is rarer still fits', () => {
  const queue = queueOf(2, 4);
  for (let i = 0; i < 5; i += 1) queue.push(frame);
  queue.push(attached);
  for (let i = 0; i < 7; i += 1) queue.push(frame);
  assert.equal(told(queue), 'frame frame lost 3 attached lost 7');
  queue.push(frame);
  assert.equal(told(queue), 'frame');
});

test('it never grows beyond its caps, whatever comes; the end is always told', () => {
  const queue = queueOf(2, 4);
  for (let i = 0; i < 1_000; i += 1) {
    queue.push(attached);
    queue.push(frame);
  }
  assert.ok(queue.size <= 5, String(queue.size));
  queue.push(over);
  assert.match(told(queue), /lost \d+ over$/);
});
