import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TraceEvent } from '@burrow/api';
import { CliError, EXIT } from '../cli-error.ts';
import { follow } from './follow.ts';

const UID = 'ab'.repeat(16);
const where = { at: '2026-01-01T00:00:00.000Z', relay: 'r1' };
const WATCHING: TraceEvent = { event: 'watching', ...where, channel: UID, attachments: [] };
const OVER: TraceEvent = { event: 'over', ...where, code: null, reason: 'Done.' };
const end = (code: 'draining' | 'access-lost' | 'gone'): TraceEvent => ({
  ...{ event: 'end', ...where, code, reason: `It is ${code}.` },
});
const LOST = new CliError('The connection was lost.', EXIT.unreachable);

type Script = readonly (TraceEvent | Error)[];

/** One answer after the other; the last one for ever. */
async function followed(scripts: readonly Script[], patienceMs = 5_000) {
  const asked: string[] = [];
  const events: string[] = [];
  const again: string[] = [];
  let error: unknown;
  await follow('abab', {
    retryMs: 1,
    patienceMs,
    signal: AbortSignal.timeout(10_000),
    async read(channel, onLine) {
      const script = scripts[Math.min(asked.length, scripts.length - 1)]!;
      asked.push(channel);
      for (const each of script) {
        if (each instanceof Error) throw each;
        await onLine(JSON.stringify(each));
      }
    },
    onEvent: ({ event }) => void events.push(event),
    onAgain: (why) => again.push(why),
  }).catch((failure: unknown) => (error = failure));
  return { asked, events, again, error: error as CliError | undefined };
}

test('it ends with the channel', async () => {
  const { asked, events, again, error } = await followed([[WATCHING, OVER]]);
  assert.deepEqual([asked, events, again, error], [['abab'], ['watching', 'over'], [], undefined]);
});

test('when the relay goes, the next is asked for the whole id, and that is said once', async () => {
  const gone = [LOST];
  const { asked, again, error } = await followed([
    [WATCHING, LOST],
    ...[gone, gone],
    [WATCHING, end('draining')],
    [WATCHING],
    [WATCHING, OVER],
  ]);
  assert.equal(error, undefined);
  assert.deepEqual(asked, ['abab', ...Array<string>(5).fill(UID)]);
  assert.deepEqual(again, [LOST.message, 'It is draining.', 'The relay broke off.']);
});

test('a channel that was opened anew is asked for under its new id', async () => {
  const id = 'cd'.repeat(16);
  const renamed: TraceEvent = { event: 'renamed', ...where, id };
  const { asked } = await followed([[WATCHING, renamed, LOST], [OVER]]);
  assert.deepEqual(asked, ['abab', id]);
});

test('a relay that cannot be reached at all is no trace that broke off', async () => {
  const { asked, again, error } = await followed([[LOST]]);
  assert.deepEqual([asked.length, again, error], [1, [], LOST]);
});

test('nobody is asked for ever', async () => {
  const { again, error } = await followed([[WATCHING, LOST], [LOST]], 20);
  assert.deepEqual([again.length, error], [1, LOST]);
});

test('what another relay would not know better ends it, with a code', async () => {
  const failures = [
    [[WATCHING, end('gone')], EXIT.notFound],
    [[WATCHING, end('access-lost')], EXIT.notSignedIn],
    [[new CliError('Only an administrator may.', EXIT.failed)], EXIT.failed],
  ] as const;
  for (const [script, code] of failures) {
    const { asked, error } = await followed([script]);
    assert.deepEqual([asked.length, error?.exitCode], [1, code]);
  }
});
