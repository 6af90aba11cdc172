import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { parsePublicKey, PublicKeyError } from './public-key.ts';

const folder = mkdtempSync(join(tmpdir(), 'burrow-keys-'));
after(() => rmSync(folder, { recursive: true }));

/** A key that OpenSSH made, with the fingerprint that it prints. */
function made(name: string, ...args: string[]): { line: string; fingerprint: string } {
  const file = join(folder, name);
  execFileSync('ssh-keygen', ['-q', '-N', '', '-C', 'ann @ laptop', '-f', file, ...args]);
  const printed = execFileSync('ssh-keygen', ['-lf', `${file}.pub`]).toString();
  return { line: readFileSync(`${file}.pub`, 'utf8'), fingerprint: printed.split(' ')[1] ?? '' };
}

for (const args of [
  ['-t', 'ed25519'],
  ['-t', 'ecdsa', '-b', '256'],
  ['-t', 'ecdsa', '-b', '521'],
  ['-t', 'rsa', '-b', '2048'],
]) {
  test(`reads what ssh-keygen ${args.join(' ')} writes`, () => {
    const { line, fingerprint } = made(args.join(''), ...args);
    const key = parsePublicKey(line);
    assert.equal(key.fingerprint, fingerprint);
    assert.equal(key.comment, 'ann @ laptop');
    assert.equal(`${key.line} ann @ laptop\n`, line);
  });
}

test('a key that is too weak, secret or damaged is refused with a sentence', () => {
  const good = made('good', '-t', 'ed25519').line.trim();
  const weak = made('weak', '-t', 'rsa', '-b', '1024').line;
  const secret = readFileSync(join(folder, 'good'), 'utf8');
  for (const [text, says] of [
    [weak, /at least 2048 bits/],
    [secret, /private key/],
    ['ssh-dss AAAA', /DSA/],
    ['sk-ssh-ed25519@openssh.com AAAA', /security tokens/],
    [good.slice(0, 40), /damaged/],
    [good.replace('ssh-ed25519', 'ssh-rsa'), /damaged/],
    [`${good}\n${good}`, /one key/],
    [`command="x" ${good}`, /one line such as/],
    ['', /one line such as/],
    ['x'.repeat(9000), /too long/],
  ] as const) {
    assert.throws(() => parsePublicKey(text), { name: 'PublicKeyError', message: says });
  }
});

test('any text is a key or a sentence, never another error', () => {
  const good = made('fuzz', '-t', 'ed25519').line.trim();
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string({ maxLength: 200 }),
        fc.base64String({ maxLength: 200 }).map((text) => `ssh-rsa ${text}`),
        fc.nat(good.length).map((at) => good.slice(0, at)),
        fc
          .tuple(fc.nat(good.length - 1), fc.string({ minLength: 1, maxLength: 1 }))
          .map(([at, with_]) => good.slice(0, at) + with_ + good.slice(at + 1)),
      ),
      (text) => {
        try {
          parsePublicKey(text);
        } catch (error) {
          assert.ok(error instanceof PublicKeyError, String(error));
        }
      },
    ),
  );
});
