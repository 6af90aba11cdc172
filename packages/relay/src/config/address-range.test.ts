import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addressSet, isLoopback, plainAddress } from './address-range.ts';

const CASES: [ranges: string[], address: string, inside: boolean][] = [
  [[], '127.0.0.1', false],
  [['10.0.0.0/8'], '10.255.0.1', true],
  [['10.0.0.0/8'], '11.0.0.1', false],
  [['10.0.0.0/8'], '::ffff:10.0.0.1', true],
  [['192.0.2.7'], '192.0.2.7', true],
  [['192.0.2.7'], '192.0.2.8', false],
  [['fd00::/8'], 'fd12::1', true],
  [['fd00::/8'], 'fe80::1', false],
  [['fe80::/10'], 'fe80::1%eth0', true],
  [['loopback'], '::1', true],
  [['loopback'], '127.8.8.8', true],
  [['0.0.0.0/0'], 'garbage', false],
];
for (const [ranges, address, inside] of CASES) {
  test(`${address} is ${inside ? '' : 'not '}in [${ranges.join(', ')}]`, () => {
    assert.equal(addressSet(ranges).has(address), inside);
  });
}

test('loopback is seen in every spelling', () => {
  for (const address of ['127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1'])
    assert.ok(isLoopback(address), address);
  for (const address of ['10.0.0.1', '::2', '127.evil.test', ''])
    assert.ok(!isLoopback(address), address);
  assert.equal(plainAddress('::FFFF:1.2.3.4'), '1.2.3.4');
});
