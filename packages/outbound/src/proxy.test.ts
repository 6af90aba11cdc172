import assert from 'node:assert/strict';
import { test } from 'node:test';
import { proxyFor } from './proxy.ts';

test('a proxy is checked before anything is dialled, and its password is not repeated', () => {
  const relay = new URL('https://relay.test');
  assert.equal(proxyFor(relay, ''), undefined);
  assert.equal(proxyFor(relay, 'http://me:p%40ss@proxy.test:3128')?.host, 'proxy.test:3128');
  assert.equal(proxyFor(relay, 'https://proxy.test')?.protocol, 'https:');
  for (const [text, expected] of [
    ['http://me:secret@[bad', /HTTPS_PROXY .* is wrong: use a URL/],
    ['ftp://me:secret@proxy.test', /HTTPS_PROXY .* is wrong: use a URL/],
    ['http://me:secret%zz@proxy.test', /HTTPS_PROXY .* is wrong: use a URL/],
    ['socks5h://me:secret@proxy.test', /names a SOCKS proxy/],
  ] as const) {
    assert.throws(
      () => proxyFor(relay, text),
      (error: Error) => expected.test(error.message) && !error.message.includes('secret'),
    );
  }
});
