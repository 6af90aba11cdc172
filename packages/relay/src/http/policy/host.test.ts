import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseHost } from './host.ts';

const names = { domain: 'burrow.test', publicHosts: ['relay.example.org'] };

const cases: readonly (readonly [authority: string, place: string, authorityOut?: string])[] = [
  ['burrow.test', 'control', 'burrow.test'],
  ['burrow.test:8080', 'control', 'burrow.test:8080'],
  ['relay.example.org', 'control'],
  ['localhost:1', 'control'],
  ['127.0.0.1', 'control'],
  ['192.0.2.7:8080', 'control'],
  ['[::1]:8080', 'control', '[::1]:8080'],
  ['demo.burrow.test', 'app demo editor'],
  ['demo.burrow.test:443', 'app demo editor', 'demo.burrow.test'],
  ['demo.burrow.test:80', 'app demo editor', 'demo.burrow.test:80'],
  ['a-b.burrow.test', 'app a-b editor'],
  ['3000-demo.burrow.test', 'app demo 3000'],
  ['3000-a-b.burrow.test', 'app a-b 3000'],
  ['65535-demo.burrow.test', 'app demo 65535'],
  ['1-a.burrow.test', 'app a 1'],
  ['0-demo.burrow.test', 'bad-port 0'],
  ['65536-demo.burrow.test', 'bad-port 65536'],
  ['03000-demo.burrow.test', 'bad-port 03000'],
  ['99999999-demo.burrow.test', 'bad-port 99999999'],
  ['', 'unknown'],
  ['evil.test', 'unknown'],
  ['burrow.test.evil.test', 'unknown'],
  ['evilburrow.test', 'unknown'],
  ['.burrow.test', 'unknown'],
  ['a.b.burrow.test', 'unknown'],
  ['demo.burrow.test.', 'unknown'],
  ['-demo.burrow.test', 'unknown'],
  ['demo-.burrow.test', 'unknown'],
  ['3000-.burrow.test', 'unknown'],
  ['3000-3001-demo.burrow.test', 'unknown'],
  ['3000.burrow.test', 'unknown'],
  ['de_mo.burrow.test', 'unknown'],
  ['demo.burrow.test:0', 'unknown'],
  ['demo.burrow.test:65536', 'unknown'],
  ['demo.burrow.test:', 'unknown'],
  ['demo.burrow.test:80:80', 'unknown'],
  ['user@demo.burrow.test', 'unknown'],
  ['demo.burrow.test/x', 'unknown'],
  ['demo.burrow.test, other.burrow.test', 'unknown'],
  ['[::1', 'unknown'],
  ['[127.0.0.1]', 'unknown'],
  [`${'a'.repeat(34)}.burrow.test`, `app ${'a'.repeat(34)} editor`],
  [`${'a'.repeat(35)}.burrow.test`, 'unknown'],
  [`${'a.'.repeat(200)}burrow.test`, 'unknown'],
];

for (const [authority, expected, authorityOut] of cases) {
  test(`host ${JSON.stringify(authority).slice(0, 60)} is ${expected.slice(0, 40)}`, () => {
    const { place, ...host } = parseHost(authority, true, names);
    const shown =
      place.kind === 'app'
        ? `app ${place.workspace} ${place.port ?? 'editor'}`
        : place.kind === 'bad-port'
          ? `bad-port ${place.text}`
          : place.kind;
    assert.equal(shown, expected);
    if (authorityOut !== undefined) assert.equal(host.authority, authorityOut);
  });
}

for (const [authority, loopback] of [
  ['localhost', true],
  ['demo.localhost:8080', true],
  ['127.0.0.1', true],
  ['127.1.2.3', true],
  ['[::1]', true],
  ['[0:0:0:0:0:0:0:1]', true],
  ['[::2]', false],
  ['burrow.test', false],
  ['10.0.0.1', false],
  ['notlocalhost', false],
  ['127.0.0.1.evil.test', false],
] as const) {
  test(`${authority} is ${loopback ? '' : 'not '}loopback`, () => {
    assert.equal(parseHost(authority, false, names).loopback, loopback);
  });
}

test('whatever counts as an app is below the domain, as browsers parse it', () => {
  const part = fc.constantFrom(
    'demo',
    '3000-demo',
    '.',
    'burrow.test',
    ':',
    '80',
    '@',
    '/',
    '-',
    '[',
    ']',
    '%',
    'a',
  );
  fc.assert(
    fc.property(
      fc.array(part).map((parts) => parts.join('')),
      (authority) => {
        const host = parseHost(authority, true, names);
        if (host.place.kind !== 'app') return;
        const url = new URL(`https://${authority}/`);
        assert.equal(url.host, host.authority);
        assert.ok(url.hostname.endsWith('.burrow.test'));
      },
    ),
    { numRuns: 2000 },
  );
});
