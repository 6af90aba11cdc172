import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseProxyHeader, PROXY_HEADER_MAX } from './proxy-protocol.ts';

const SIGNATURE = '0d0a0d0a000d0a515549540a';

function v2(versionCommand: number, family: number, body: Buffer): Buffer {
  const head = Buffer.from(SIGNATURE + '00000000', 'hex');
  head.writeUInt8(versionCommand, 12);
  head.writeUInt8(family, 13);
  head.writeUInt16BE(body.length, 14);
  return Buffer.concat([head, body]);
}

const ipv4Body = Buffer.from([203, 0, 113, 9, 10, 0, 0, 1, 0, 80, 1, 187]);

const VALID: [string, Buffer, string | undefined][] = [
  ['v1 TCP4', Buffer.from('PROXY TCP4 1.2.3.4 5.6.7.8 0 65535\r\n'), '1.2.3.4'],
  ['v1 TCP6', Buffer.from('PROXY TCP6 2001:db8::1 ::1 1 2\r\n'), '2001:db8::1'],
  ['v1 mapped', Buffer.from('PROXY TCP6 ::ffff:1.2.3.4 ::1 1 2\r\n'), '1.2.3.4'],
  ['v1 UNKNOWN', Buffer.from('PROXY UNKNOWN whatever\r\n'), undefined],
  ['v2 IPv4', v2(0x21, 0x11, ipv4Body), '203.0.113.9'],
  ['v2 IPv4 with TLVs', v2(0x21, 0x11, Buffer.concat([ipv4Body, Buffer.alloc(40)])), '203.0.113.9'],
  [
    'v2 IPv6',
    v2(0x21, 0x21, Buffer.from(`20010db8${'0'.repeat(23)}1${'0'.repeat(40)}`, 'hex')),
    '2001:db8::1',
  ],
  ['v2 LOCAL', v2(0x20, 0x00, Buffer.alloc(0)), undefined],
  ['v2 unix', v2(0x21, 0x31, Buffer.alloc(216)), undefined],
];

for (const [name, bytes, address] of VALID) {
  test(`${name} is understood, also with bytes behind it`, () => {
    const expected = { kind: 'header', length: bytes.length, address };
    assert.deepEqual(parseProxyHeader(bytes), expected);
    assert.deepEqual(parseProxyHeader(Buffer.concat([bytes, Buffer.from('GET')])), expected);
  });
  test(`${name} cut anywhere is incomplete`, () => {
    for (let length = 0; length < bytes.length; length++) {
      assert.equal(
        parseProxyHeader(bytes.subarray(0, length)).kind,
        'incomplete',
        `${length} bytes`,
      );
    }
  });
}

const INVALID: [string, Buffer][] = [
  ['no header', Buffer.from('GET / HTTP/1.1\r\n')],
  ['v1 wrong family', Buffer.from('PROXY TCP5 1.2.3.4 5.6.7.8 1 2\r\n')],
  ['v1 IPv6 in TCP4', Buffer.from('PROXY TCP4 ::1 ::1 1 2\r\n')],
  ['v1 zone', Buffer.from('PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n')],
  ['v1 port too large', Buffer.from('PROXY TCP4 1.2.3.4 5.6.7.8 1 65536\r\n')],
  ['v1 port with sign', Buffer.from('PROXY TCP4 1.2.3.4 5.6.7.8 +1 2\r\n')],
  ['v1 more fields', Buffer.from('PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n')],
  ['v1 too long', Buffer.from(`PROXY UNKNOWN ${'x'.repeat(107)}\r\n`)],
  ['v2 version 3', v2(0x31, 0x11, ipv4Body)],
  ['v2 command 2', v2(0x22, 0x11, ipv4Body)],
  ['v2 short body', v2(0x21, 0x11, Buffer.alloc(11))],
  ['v2 too long', v2(0x21, 0x11, Buffer.alloc(PROXY_HEADER_MAX))],
];

for (const [name, bytes] of INVALID) {
  test(`${name} is invalid`, () => assert.equal(parseProxyHeader(bytes).kind, 'invalid'));
}

test('any bytes give an answer that stays within its bounds, however they are cut', () => {
  const noise = fc.uint8Array({ maxLength: 300 });
  const lead = fc.constantFrom(
    Buffer.alloc(0),
    Buffer.from('PROXY '),
    Buffer.from('PROXY TCP4 '),
    Buffer.from(SIGNATURE, 'hex'),
    Buffer.from(`${SIGNATURE}2111`, 'hex'),
  );
  fc.assert(
    fc.property(lead, noise, fc.nat(), (start, rest, cut) => {
      const bytes = Buffer.concat([start, rest]);
      const whole = parseProxyHeader(bytes);
      if (whole.kind === 'header')
        assert.ok(whole.length <= bytes.length && whole.length <= PROXY_HEADER_MAX);
      const part = parseProxyHeader(bytes.subarray(0, cut % (bytes.length + 1)));
      // Fewer bytes never lead to another conclusion, only to none.
      if (part.kind !== 'incomplete') assert.deepEqual(part, whole);
    }),
    { numRuns: 2000 },
  );
});
