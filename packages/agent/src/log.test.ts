import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLog } from './log.ts';

test('one JSON line per event, from the chosen level on', () => {
  const lines: string[] = [];
  const log = createLog({
    level: 'warn',
    pretty: false,
    write: (line) => lines.push(line),
    now: () => 0,
  });
  log.info('start');
  log.warn('link-lost', { relay: 'a', message: 'two\nlines', retryInMs: undefined });
  assert.equal(lines.length, 1);
  assert.ok(lines[0]?.endsWith('}\n') && !lines[0].slice(0, -1).includes('\n'));
  assert.deepEqual(JSON.parse(lines[0] ?? ''), {
    time: '1970-01-01T00:00:00.000Z',
    level: 'warn',
    event: 'link-lost',
    relay: 'a',
    message: 'two\nlines',
  });
});

test('text from elsewhere cannot drive a terminal', () => {
  const lines: string[] = [];
  const log = createLog({
    level: 'info',
    pretty: true,
    write: (line) => lines.push(line),
    now: () => 0,
  });
  log.warn('channel-refused', { user: 'a\u001b[31m', message: 'b\nc' });
  assert.deepEqual(lines, ['00:00:00 warn: channel-refused user=a?[31m - b?c\n']);
});
