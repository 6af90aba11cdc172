import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CliError, EXIT } from '../cli-error.ts';
import { hostPort, isLoopback, parseAddress, parseMapping } from './mapping.ts';

test('a mapping is REMOTE, LOCAL:REMOTE, or :REMOTE for any free port', () => {
  assert.deepEqual(parseMapping('3000'), { local: 3000, remote: 3000 });
  assert.deepEqual(parseMapping('8080:3000'), { local: 8080, remote: 3000 });
  for (const text of [':3000', '0:3000']) {
    assert.deepEqual(parseMapping(text), { local: 0, remote: 3000 });
  }
  assert.deepEqual(parseMapping('65535:1'), { local: 65_535, remote: 1 });
});

test('what names no ports is wrong use', () => {
  for (const text of [
    '',
    '0',
    ':',
    '3000:',
    '1:2:3',
    '65536',
    '65536:1',
    'http',
    '-1',
    '3000/udp',
    '3 000',
    '١',
  ]) {
    assert.throws(
      () => parseMapping(text),
      (error: unknown) => error instanceof CliError && error.exitCode === EXIT.usage,
      text,
    );
  }
  assert.throws(() => parseMapping('\u001b[31m'), /“\?\[31m”/);
});

test('an address is one of IP, and loopback is known in both families', () => {
  assert.equal(parseAddress('localhost'), '127.0.0.1');
  assert.equal(parseAddress('::1'), '::1');
  for (const text of ['example.com', '', '127.1'])
    assert.throws(() => parseAddress(text), CliError);
  assert.deepEqual(
    ['127.0.0.1', '127.9.9.9', '::1', '0.0.0.0', '::', '192.0.2.1'].map(isLoopback),
    [true, true, true, false, false, false],
  );
  assert.equal(hostPort('::1', 80), '[::1]:80');
});
