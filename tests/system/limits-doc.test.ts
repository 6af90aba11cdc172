// docs/limits.md names every cap of protocol, HTTP engine, SSH gateway and sign-in, with its present value.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import * as tunnel from '@burrow/tunnel';
import { AUTH_LIMITS } from '../../packages/relay/src/auth/limits.ts';
import { CLIENT_LIMITS } from '../../packages/relay/src/clients/limits.ts';
import { POSTGRES_LIMITS } from '../../packages/relay/src/db/postgres/limits.ts';
import { DEFAULT_HTTP_LIMITS } from '../../packages/relay/src/http/limits.ts';
import { PEER_LIMITS } from '../../packages/relay/src/peers/limits.ts';
import { REGISTRY_LIMITS } from '../../packages/relay/src/routing/limits.ts';
import { SSH_LIMITS } from '../../packages/relay/src/ssh/limits.ts';
import { TRACE_LIMITS } from '../../packages/relay/src/trace/limits.ts';

const text = readFileSync(join(import.meta.dirname, '../../docs/limits.md'), 'utf8');

function written(name: string, value: number): string {
  if (/bytes$/i.test(name)) {
    if (value % 1024 ** 2 === 0) return `${value / 1024 ** 2} MiB`;
    return value % 1024 === 0 ? `${value / 1024} KiB` : `${value} B`;
  }
  if (!/(Ms|_MS)$/.test(name)) return value.toLocaleString('en');
  return value % 1000 === 0 ? `${(value / 1000).toLocaleString('en')} s` : `${value} ms`;
}

const constants = Object.entries(tunnel).filter(
  ([name, value]) =>
    typeof value === 'number' && /^[A-Z_]+$/.test(name) && !name.endsWith('REVISION'),
) as [string, number][];

test('every cap is listed with its value', () => {
  assert.ok(constants.length > 15);
  const all = [
    ...constants,
    ...Object.entries(AUTH_LIMITS),
    ...Object.entries(CLIENT_LIMITS),
    ...Object.entries(DEFAULT_HTTP_LIMITS),
    ...Object.entries(POSTGRES_LIMITS),
    ...Object.entries(PEER_LIMITS),
    ...Object.entries(REGISTRY_LIMITS),
    ...Object.entries(SSH_LIMITS),
    ...Object.entries(TRACE_LIMITS),
  ];
  const missing = all
    .map(([name, value]) => `| \`${name}\` | ${written(name, value)} |`)
    .filter((row) => !text.includes(row));
  assert.deepEqual(missing, []);
});
