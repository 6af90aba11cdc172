import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isReturnPath } from './return-path.ts';

test('whatever is accepted stays on its host, as browsers parse it', () => {
  const tricky = fc.constantFrom(
    '/',
    '\\',
    '\t',
    '\n',
    '@',
    ':',
    '.',
    '%2f',
    'evil.test',
    '?',
    '#',
    '//',
  );
  const path = fc.oneof(
    fc.string(),
    fc.array(tricky).map((parts) => `/${parts.join('')}`),
  );
  fc.assert(
    fc.property(path, (text) => {
      if (!isReturnPath(text)) return;
      assert.equal(new URL(text, 'https://here.test/a/b').origin, 'https://here.test');
      // Nothing is dropped by the parser on the way: one header line, one meaning.
      assert.match(text, /^[\x21-\x7e]+$/);
    }),
    { numRuns: 2000 },
  );
});

test('ordinary paths are accepted', () => {
  for (const path of ['/', '/?folder=/home/me', '/a/b.html?x=%20#y', '/a//b']) {
    assert.equal(isReturnPath(path), true, path);
  }
});
