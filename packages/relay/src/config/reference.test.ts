import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { configReference } from './reference.ts';

const PATH = new URL('../../../../docs/configuration.md', import.meta.url);

test('docs/configuration.md says what the schema says', () => {
  if (process.env['UPDATE_DOCS'] === '1') writeFileSync(PATH, configReference());
  assert.equal(
    readFileSync(PATH, 'utf8'),
    configReference(),
    'run `UPDATE_DOCS=1 node --test packages/relay/src/config/reference.test.ts`',
  );
});
