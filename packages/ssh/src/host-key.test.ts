import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { generateHostKey, loadOrCreateHostKey, parseHostKey } from './host-key.ts';

const folder = mkdtempSync(join(tmpdir(), 'burrow-host-key-'));
after(() => rmSync(folder, { recursive: true }));

test('made once, private, and OpenSSH reads it', async () => {
  const file = join(folder, 'state', 'ssh_host_ed25519_key');
  const made = await Promise.all([1, 2, 3, 4].map(() => loadOrCreateHostKey(file)));
  assert.equal(new Set(made.map((key) => key.fingerprint)).size, 1, 'one key for all that raced');
  assert.deepEqual(readdirSync(join(folder, 'state')), ['ssh_host_ed25519_key']);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.equal(statSync(join(folder, 'state')).mode & 0o777, 0o700);
  const printed = execFileSync('ssh-keygen', ['-y', '-f', file]).toString().trim();
  assert.equal(printed.split(' ').slice(0, 2).join(' '), made[0]?.publicLine);
  assert.deepEqual(await loadOrCreateHostKey(file), made[0]);
});

test('a file that holds something else is kept and named as such', async () => {
  const file = join(folder, 'other');
  writeFileSync(file, 'not a key');
  await assert.rejects(loadOrCreateHostKey(file), /no unencrypted private key/);
});

test('every generated key can be read again', () => {
  for (let i = 0; i < 1_000; i++) {
    const made = generateHostKey();
    assert.deepEqual(parseHostKey(made.privateKey), made);
  }
});
