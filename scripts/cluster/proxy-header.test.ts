import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseProxyHeader } from '../../packages/relay/src/listen/proxy-protocol.ts';
import { proxyHeader } from './proxy-header.ts';

test('what the front says of a client is what a relay reads', () => {
  const ends = { sourceAddress: '192.0.2.7', sourcePort: 40_000, targetAddress: '127.0.0.1' };
  const header = proxyHeader({ ...ends, targetPort: 8080 });
  assert.deepEqual(parseProxyHeader(header), {
    kind: 'header',
    length: header.length,
    address: '192.0.2.7',
  });
});

test('a client without an IPv4 address is not made one', () => {
  const header = proxyHeader({
    sourceAddress: undefined,
    sourcePort: undefined,
    targetAddress: '::1',
    targetPort: 1,
  });
  assert.deepEqual(parseProxyHeader(header), { kind: 'header', length: 16, address: undefined });
});
