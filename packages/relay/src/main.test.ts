import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';

const BURROW = fileURLToPath(new URL('../../../scripts/burrow.mjs', import.meta.url));

function run(t: TestContext, args: string[], env: Record<string, string> = {}) {
  const child = spawn(process.execPath, [BURROW, ...args], {
    env: { PATH: process.env['PATH'] ?? '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  t.after(() => child.kill('SIGKILL'));
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk) => (out += chunk));
  child.stderr.on('data', (chunk) => (err += chunk));
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, out, err }));
  return { child, ended, err: () => err };
}

test('burrow relay config prints what is in effect and where it comes from', async (t) => {
  const { code, out } = await run(t, ['relay', 'config', '--json', '--listen-port', '9'], {
    BURROW_RELAY_DOMAIN: 'burrow.test',
  }).ended;
  assert.equal(code, 0);
  const printed = JSON.parse(out) as Record<string, unknown>;
  assert.deepEqual(printed['listen.port'], { value: 9, source: 'flag --listen-port' });
  assert.deepEqual(printed['domain'], { value: 'burrow.test', source: 'env BURROW_RELAY_DOMAIN' });
});

const MISTAKES: [
  name: string,
  args: string[],
  env: Record<string, string>,
  code: number,
  message: RegExp,
][] = [
  ['an unknown flag', ['--listen-prot', '1'], {}, 2, /Did you mean --listen-port/],
  [
    'an unknown variable',
    [],
    { BURROW_RELAY_DOMIAN: 'x' },
    2,
    /did you mean BURROW_RELAY_DOMAIN\?/,
  ],
  [
    'a missing file',
    ['--config', '/nonexistent.yaml'],
    {},
    2,
    /cannot read the configuration file/,
  ],
  [
    'a missing certificate',
    ['--listen-tls-cert-file', '/n.crt', '--listen-tls-key-file', '/n.key'],
    {},
    2,
    /cannot use the TLS certificate/,
  ],
  [
    'a data folder that cannot be',
    ['--data-dir', '/dev/null/burrow'],
    {},
    2,
    /cannot make the data folder/,
  ],
];
for (const [name, args, env, expected, message] of MISTAKES) {
  test(`${name} ends with a sentence and code ${expected}, and no stack`, async (t) => {
    const dataDir = mkdtempSync(join(tmpdir(), 'burrow-main-'));
    t.after(() => rmSync(dataDir, { recursive: true, force: true }));
    const { code, err } = await run(t, ['relay', ...args], {
      BURROW_RELAY_DATA_DIR: dataDir,
      ...env,
    }).ended;
    assert.match(err, message);
    assert.ok(!/^\s+at /m.test(err), err);
    assert.equal(code, expected);
  });
}

test('a relay logs JSON lines and ends in order on SIGTERM', async (t) => {
  const dataDir = mkdtempSync(join(tmpdir(), 'burrow-main-'));
  t.after(() => rmSync(dataDir, { recursive: true, force: true }));
  const { child, ended, err } = run(t, ['relay', '--listen-port', '0', '--data-dir', dataDir]);
  while (!err().includes('relay ready')) {
    assert.equal(child.exitCode, null, err());
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  child.kill('SIGTERM');
  const { code, err: all } = await ended;
  assert.equal(code, 0);
  const messages = all
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as { msg: string }).msg);
  assert.deepEqual(messages.slice(-2), ['relay drains', 'relay stopped']);
});
