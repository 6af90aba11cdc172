import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { HTTP_STATUS } from './error-status.ts';
import { RELAY_ERROR_CODES } from './errors.ts';
import { FAILURES } from './http/policy/failures.ts';

test('docs/errors.md lists every code once, with its status and who is to blame', async () => {
  const text = await readFile(new URL('../../../docs/errors.md', import.meta.url), 'utf8');
  const rows = [...text.matchAll(/^\| `([a-z-]+)` \| (\d{3}) \| ([a-z]+) \|(.+)\|(.+)\|$/gm)];
  assert.deepEqual(
    rows.map(([, code, status, blame]) => ({ code, status: Number(status), blame })),
    RELAY_ERROR_CODES.map((code) => ({
      code,
      status: HTTP_STATUS[code],
      blame: FAILURES[code].blame,
    })),
  );
});
