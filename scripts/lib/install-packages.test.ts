import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { installedMatchesLock } from './install-packages.mjs';

const LIBRARY = { version: '1.0.0', integrity: 'sha512-x' };

/** A clone whose lock file wants `wanted`, with `have` installed. */
function clone(t: TestContext, wanted: object, have: object): string {
  const root = mkdtempSync(join(tmpdir(), 'burrow-clone-'));
  t.after(() => rmSync(root, { recursive: true }));
  mkdirSync(join(root, 'node_modules/@own'), { recursive: true });
  mkdirSync(join(root, 'packages/part'), { recursive: true });
  writeFileSync(join(root, 'package-lock.json'), JSON.stringify({ packages: wanted }));
  writeFileSync(join(root, 'node_modules/.package-lock.json'), JSON.stringify({ packages: have }));
  return root;
}

test('what is installed is what the lock file asks for', (t) => {
  const wanted = { '': {}, 'node_modules/library': LIBRARY };
  assert.equal(installedMatchesLock(clone(t, wanted, wanted)), true);
  const older = { 'node_modules/library': { ...LIBRARY, version: '0.9.0' } };
  assert.equal(installedMatchesLock(clone(t, wanted, older)), false);
  assert.equal(installedMatchesLock(clone(t, wanted, {})), false);
  const optional = { 'node_modules/library': { ...LIBRARY, optional: true } };
  assert.equal(installedMatchesLock(clone(t, optional, {})), true);
});

test('a new package of the repository itself has to be linked', (t) => {
  const wanted = { 'node_modules/@own/part': { resolved: 'packages/part', link: true } };
  const root = clone(t, wanted, wanted);
  assert.equal(installedMatchesLock(root), false);
  symlinkSync('../../packages/part', join(root, 'node_modules/@own/part'));
  assert.equal(installedMatchesLock(root), true);
});
