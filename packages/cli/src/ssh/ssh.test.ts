import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { CliError } from '../cli-error.ts';
import { fingerprintOfLine, ownFingerprints } from './fingerprints.ts';
import { workspaceOf } from './host-name.ts';
import { makeKeyPair } from './key-pair.ts';
import { split } from './run-ssh.ts';

test('ssh-keygen reads the keys that are made here, and agrees about the fingerprint', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'burrow-key-'));
  t.after(() => rmSync(folder, { recursive: true }));
  for (const comment of ['', 'a', 'me@laptop', 'seven77']) {
    const { privateKey, publicLine } = makeKeyPair(comment);
    const file = join(folder, 'burrow_ed25519');
    writeFileSync(file, privateKey, { mode: 0o600 });
    writeFileSync(`${file}.pub`, publicLine);
    const derived = execFileSync('ssh-keygen', ['-y', '-f', file], { encoding: 'utf8' });
    assert.equal(derived.trim(), publicLine.trim());
    const [, fingerprint] = execFileSync('ssh-keygen', ['-lf', file], { encoding: 'utf8' }).split(
      ' ',
    );
    assert.equal(fingerprintOfLine(publicLine), fingerprint);
    assert.deepEqual(ownFingerprints(folder), [fingerprint]);
  }
});

test('what is no public key has no fingerprint', () => {
  for (const line of ['', 'ssh-ed25519', 'ssh-ed25519 AAAA', 'hello world', '-----BEGIN X-----']) {
    assert.equal(fingerprintOfLine(line), undefined);
  }
});

test('a host names a workspace, or is refused', () => {
  for (const host of ['demo', 'demo.burrow', 'DEMO.burrow'.toLowerCase()]) {
    assert.equal(workspaceOf(host), 'demo');
  }
  for (const host of [
    '',
    '.burrow',
    'a.b',
    '-x',
    'x-',
    'Demo',
    'demo.burrow.burrow',
    '../x',
    '\u001b[2J',
  ]) {
    assert.throws(
      () => workspaceOf(host),
      (error: CliError) => {
        // oxlint-disable-next-line no-control-regex -- it must not be in there
        return error.exitCode === 2 && !/[\u0000-\u001f]/.test(error.message);
      },
    );
  }
});

test('only a -- right after the workspace begins options of ssh', () => {
  assert.deepEqual(split([]), { options: [], command: [] });
  assert.deepEqual(split(['git', 'checkout', '--', 'x']), {
    options: [],
    command: ['git', 'checkout', '--', 'x'],
  });
  assert.deepEqual(split(['--', '-A', '-N']), { options: ['-A', '-N'], command: [] });
  assert.deepEqual(split(['--', '-t', '--', 'git', '--', 'x']), {
    options: ['-t'],
    command: ['git', '--', 'x'],
  });
});
