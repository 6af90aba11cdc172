import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addressSet } from '../config/address-range.ts';
import { clientOf } from './forwarded.ts';

const trusted = addressSet(['10.0.0.0/8', 'fd00::/8']);
const CASES: [
  name: string,
  peer: string,
  xff: string | undefined,
  proto: string | undefined,
  client: string,
  secure: boolean,
][] = [
  ['nobody forwards', '203.0.113.1', undefined, undefined, '203.0.113.1', false],
  ['a stranger is not believed', '203.0.113.1', '1.1.1.1', 'https', '203.0.113.1', false],
  ['a trusted proxy is', '10.0.0.1', '1.1.1.1', 'https', '1.1.1.1', true],
  [
    'what the client itself wrote is not',
    '10.0.0.1',
    '9.9.9.9, 1.1.1.1',
    'http, https',
    '1.1.1.1',
    true,
  ],
  ['the last protocol counts', '10.0.0.1', '1.1.1.1', 'https, http', '1.1.1.1', false],
  [
    'a chain of trusted proxies',
    '10.0.0.1',
    '1.1.1.1, 10.0.0.3, 10.0.0.2',
    undefined,
    '1.1.1.1',
    false,
  ],
  ['all trusted', '10.0.0.1', '10.0.0.3, 10.0.0.2', undefined, '10.0.0.3', false],
  ['garbage ends the chain', '10.0.0.1', '1.1.1.1, unknown', undefined, '10.0.0.1', false],
  ['ports and brackets', 'fd00::1', '[2001:db8::5]:443', 'HTTPS', '2001:db8::5', true],
  ['IPv4 with port', '10.0.0.1', '1.1.1.1:99', undefined, '1.1.1.1', false],
  ['mapped IPv4', '10.0.0.1', '::ffff:1.1.1.1', undefined, '1.1.1.1', false],
];

for (const [name, peer, xff, proto, remoteAddress, secure] of CASES) {
  test(name, () => {
    const info = { remoteAddress: peer, secure: false, trustedProxy: trusted.has(peer) };
    const client = clientOf(info, xff, proto, trusted);
    assert.deepEqual([client.remoteAddress, client.secure], [remoteAddress, secure]);
  });
}
