import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TraceEvent } from '@burrow/api';
import type { FrameEvent } from './facts.ts';
import { TraceLines } from './trace-lines.ts';

const at = '2026-01-01T10:20:30.456Z';
const where = { at, relay: 'relay-1' };
const on = { ...where, link: '51af35b6b57f', with: 'agent' };
const frame = (over: Partial<FrameEvent>): TraceEvent => ({
  ...{ event: 'frame', ...on, direction: 'sent', frame: 'Data', ...over },
});

/** Without the time, which is by the zone of this machine. */
function linesOf(events: readonly TraceEvent[], colours = false): string[] {
  const lines = new TraceLines({ colours });
  for (const event of events) lines.expect(event);
  const text = events.map((event) => lines.of(event)).join('');
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => line.replace(/\d\d:\d\d:30\.456 {2}/, ''));
}

test('lines stand in columns, whatever comes later', () => {
  const events: TraceEvent[] = [
    {
      ...{ event: 'watching', ...where, channel: 'ab'.repeat(16) },
      attachments: [
        {
          ...{ link: '51af35b6b57f', with: 'agent', epoch: 1, state: 'open' },
          ...{ bytesToWorkload: 268, bytesToUser: 909 },
        },
      ],
    },
    frame({ offset: 909, length: 512, replayed: 12 }),
    frame({ direction: 'received', frame: 'Credit', acked: 1_421, limit: 263_565 }),
    { event: 'detached', ...on, code: 'link-lost', reason: 'The cable was pulled.' },
    { event: 'attached', ...on, with: 'relay relay-22', epoch: 2 },
    frame({
      frame: 'Resume',
      epoch: 2,
      received: 909,
      limit: 263_053,
      ended: false,
      replayed: 512,
    }),
    frame({ frame: 'Reset', code: 'nothing-listens', reason: 'Nothing listens.' }),
    { event: 'lost', ...where, count: 7 },
    { event: 'over', ...where, code: null, reason: 'Both sides have ended.' },
  ];
  assert.deepEqual(linesOf(events), [
    'relay-1    agent           here      open, epoch 1, link 51af35b6b57f, 268 to the workload, 909 to the user',
    'relay-1  → agent           Data      909 +512, 12 again',
    'relay-1  ← agent           Credit    acked 1421, limit 263565',
    'relay-1    agent           detached  link-lost: The cable was pulled.',
    'relay-1    relay relay-22  attached  epoch 2, link 51af35b6b57f',
    'relay-1  → agent           Resume    epoch 2, received 909, limit 263053, 512 to come again',
    'relay-1  → agent           Reset     nothing-listens: Nothing listens.',
    'relay-1                    lost      7 events came too fast to be shown',
    'relay-1                    over      Both sides have ended.',
  ]);
});

test('a relay that comes back is said to, though it has none of the channel', () => {
  const none: TraceEvent = { event: 'watching', ...where, channel: '', attachments: [] };
  const away: TraceEvent = { event: 'away', ...where, reason: 'It does not answer.' };
  assert.deepEqual(linesOf([none, away, none, none]), [
    'relay-1      away      It does not answer.',
    'relay-1      back      The relay answers.',
  ]);
});

test('colours are for terminals; what others wrote commands none', () => {
  const reset = frame({ frame: 'Reset', reason: 'It said \u001b[2J.' });
  assert.deepEqual(linesOf([reset]), ['relay-1  → agent  Reset     It said ?[2J.']);
  const [line] = linesOf([reset], true);
  assert.equal(line, '\u001b[31mrelay-1  → agent  Reset     It said ?[2J.\u001b[39m');
});

test('an event that only later relays know is passed over', () => {
  const event = { event: 'unheard-of', ...where } as unknown as TraceEvent;
  assert.deepEqual(linesOf([event]), []);
});
