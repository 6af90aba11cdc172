import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addressGroup, AttemptLimit } from './attempts.ts';
import { testClock } from './testing.ts';

function make(keys = 100) {
  const clock = testClock();
  const limit = new AttemptLimit({
    attempts: 3,
    refillMs: 10_000,
    keys,
    now: () => clock.now(),
  });
  return { clock, limit };
}

test('after the allowed attempts an address waits, and is told how long', () => {
  const { clock, limit } = make();
  for (let i = 0; i < 3; i += 1) assert.equal(limit.take('192.0.2.1'), 0);
  assert.equal(limit.take('192.0.2.1'), 10);
  clock.advance(4_000);
  assert.equal(limit.take('192.0.2.1'), 6);
  clock.advance(6_000);
  assert.equal(limit.take('192.0.2.1'), 0);
  assert.equal(limit.take('192.0.2.1'), 10);
  assert.equal(limit.take('192.0.2.2'), 0, 'others do not wait');
});

test('a success does not count', () => {
  const { limit } = make();
  for (let i = 0; i < 20; i += 1) {
    assert.equal(limit.take('192.0.2.1'), 0);
    limit.giveBack('192.0.2.1');
  }
});

test('an attempt beyond those allowed is waited for too, unless it succeeds', () => {
  const { clock, limit } = make();
  for (let i = 0; i < 3; i += 1) limit.take('192.0.2.1');
  assert.equal(limit.take('192.0.2.1'), 10);
  limit.owe('192.0.2.1');
  assert.equal(limit.take('192.0.2.1'), 20);
  limit.giveBack('192.0.2.1');
  assert.equal(limit.take('192.0.2.1'), 10);
  limit.owe('192.0.2.1');
  clock.advance(20_000);
  assert.equal(limit.take('192.0.2.1'), 0);
  assert.equal(limit.take('192.0.2.1'), 10);
});

test('IPv6 addresses of one /64 count together, mapped IPv4 as IPv4', () => {
  const { limit } = make();
  for (const address of ['2001:db8::1', '2001:db8:0:0:1:2:3:4', '2001:DB8:0::ffff']) {
    assert.equal(limit.take(addressGroup(address)), 0);
  }
  assert.ok(limit.take(addressGroup('2001:db8::2')) > 0);
  assert.equal(limit.take(addressGroup('2001:db8:0:1::2')), 0);
  for (let i = 0; i < 3; i += 1) limit.take(addressGroup('::ffff:192.0.2.7'));
  assert.ok(limit.take('192.0.2.7') > 0);
});

test('the table is bounded', () => {
  const { limit } = make(5);
  for (let i = 0; i < 1000; i += 1) limit.take(`10.0.${i >> 8}.${i & 255}`);
  assert.equal(limit.size, 5);
});
