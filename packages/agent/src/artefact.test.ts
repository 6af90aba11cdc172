import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { VERSION } from './version.ts';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../../..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'burrow-agent-'));
const file = join(folder, 'burrow-agent.mjs');
let code = '';

before(async () => {
  await run(process.execPath, [join(root, 'scripts/build-agent.mjs'), '--outfile', file]);
  code = readFileSync(file, 'utf8');
});
after(() => rmSync(folder, { recursive: true }));

/** Node 20, the oldest that must run it: the machine's own, or the one named by BURROW_TEST_NODE20. */
const oldest = process.env.BURROW_TEST_NODE20 ?? '/usr/bin/node';
const nodes = [
  { what: 'this Node', node: process.execPath, skip: false as const },
  {
    what: 'the oldest Node',
    node: oldest,
    skip: existsSync(oldest) ? (false as const) : 'name one by BURROW_TEST_NODE20',
  },
];

test('one file under 1 MB', () => {
  assert.ok(Buffer.byteLength(code) < 1024 * 1024, `${Buffer.byteLength(code)} bytes`);
});

test('asks for nothing but what Node brings', () => {
  const builtin = new Set([...builtinModules, ...builtinModules.map((name) => `node:${name}`)]);
  const asked = [
    ...code.matchAll(/\b(?:require|import)\(\s*["'`]([^"'`]+)["'`]\s*\)/g),
    ...code.matchAll(/\bfrom\s*["']([^"']+)["']/g),
    ...code.matchAll(/^import\s*["']([^"']+)["']/gm),
  ].map((match) => match[1] ?? '');
  assert.ok(asked.length > 5);
  for (const name of asked) assert.ok(builtin.has(name), name);
  assert.doesNotMatch(code, /bufferutil|utf-8-validate|\.node["'`]/);
});

test('holds no relay code and no path of the machine that built it', () => {
  assert.doesNotMatch(code, /packages\/relay|fastify|kysely|node:sqlite/i);
  assert.ok(!code.includes(root));
  assert.doesNotMatch(code, /sourceMappingURL/);
});

for (const { what, node, skip } of nodes) {
  test(`--version, --help and mistakes on ${what}`, { skip }, async () => {
    const env = { PATH: process.env.PATH };
    const version = await run(node, [file, '--version'], { env });
    assert.equal(version.stdout, `${VERSION}\n`);
    const help = await run(node, [file, '--help'], { env });
    assert.match(help.stdout, /--relay-url URL/);
    const failed = await run(node, [file, '--nonsense'], { env }).then(
      () => assert.fail('accepted'),
      (error: { code: number; stderr: string }) => error,
    );
    assert.equal(failed.code, 2);
    const { time, ...line } = JSON.parse(failed.stderr) as Record<string, string>;
    assert.ok(Date.parse(time ?? '') > 0);
    assert.deepEqual(line, {
      level: 'error',
      event: 'config',
      message: 'Unknown flag "--nonsense". --help lists the known ones.',
    });
  });
}
