import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { signUserCertificate, USER_EXTENSIONS, type UserCertificate } from './certificate.ts';
import { generateHostKey, parseHostKey } from './host-key.ts';
import { parsePublicKey } from './public-key.ts';

const folder = mkdtempSync(join(tmpdir(), 'burrow-certificate-'));
after(() => rmSync(folder, { recursive: true }));

const ca = generateHostKey();
const AT = Date.UTC(2026, 0, 2, 3, 4, 5);

function newKey(...args: string[]): Buffer {
  const file = join(folder, `key-${args.join('')}`);
  rmSync(file, { force: true });
  execFileSync('ssh-keygen', ['-q', '-N', '', '-f', file, ...args]);
  return parsePublicKey(readFileSync(`${file}.pub`, 'utf8')).blob;
}

function sign(over: Partial<UserCertificate> = {}): string {
  return signUserCertificate({
    publicKey: parsePublicKey(generateHostKey().publicLine).blob,
    keyId: 'olive via burrow',
    principals: ['dev'],
    validAfter: AT,
    validBefore: AT + 300_000,
    ca,
    ...over,
  });
}

/** As OpenSSH reads it: it checks the signature, too. */
function shown(line: string): string {
  const file = join(folder, 'shown-cert.pub');
  writeFileSync(file, `${line} comment\n`);
  const env = { ...process.env, TZ: 'UTC' };
  return execFileSync('ssh-keygen', ['-L', '-f', file], { env }).toString();
}

for (const [args, type] of [
  [['-t', 'ed25519'], 'ssh-ed25519'],
  [['-t', 'ecdsa', '-b', '256'], 'ecdsa-sha2-nistp256'],
  [['-t', 'ecdsa', '-b', '384'], 'ecdsa-sha2-nistp384'],
  [['-t', 'ecdsa', '-b', '521'], 'ecdsa-sha2-nistp521'],
  [['-t', 'rsa', '-b', '2048'], 'ssh-rsa'],
] as const) {
  test(`OpenSSH reads a certificate of a key of type ${type}`, () => {
    const text = shown(sign({ publicKey: newKey(...args), serial: 2n ** 63n }));
    assert.match(text, new RegExp(`Type: ${type}-cert-v01@openssh.com user certificate`));
    assert.ok(text.includes(`Signing CA: ED25519 ${ca.fingerprint}`), text);
    assert.match(text, /Key ID: "olive via burrow"/);
    assert.match(text, /Serial: 9223372036854775808/);
    assert.match(text, /Valid: from 2026-01-02T03:04:05 to 2026-01-02T03:09:05/);
    assert.match(text, /Principals: \n +dev\n/);
    assert.match(text, /Critical Options: \(none\)/);
    for (const extension of USER_EXTENSIONS) assert.ok(text.includes(extension), extension);
  });
}

test('is byte for byte what ssh-keygen -s signs, but for nonce and signature', () => {
  const base = join(folder, 'pair');
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', base]);
  writeFileSync(join(folder, 'ca'), ca.privateKey, { mode: 0o600 });
  const options = ['-s', join(folder, 'ca'), '-I', 'id', '-n', 'a,b', '-z', '7', '-O', 'clear'];
  const allowed = ['-O', 'permit-pty', '-O', 'permit-agent-forwarding'];
  const span = ['-V', '0x65000000:0x65000100'];
  execFileSync('ssh-keygen', ['-q', ...options, ...allowed, ...span, `${base}.pub`]);
  const theirs = blobOf(readFileSync(`${base}-cert.pub`, 'utf8'));
  const ours = blobOf(
    sign({
      publicKey: parsePublicKey(readFileSync(`${base}.pub`, 'utf8')).blob,
      keyId: 'id',
      principals: ['a', 'b'],
      serial: 7n,
      validAfter: 0x65000000 * 1000,
      validBefore: 0x65000100 * 1000,
      extensions: ['permit-pty', 'permit-agent-forwarding'],
    }),
  );
  assert.equal(ours.length, theirs.length);
  for (const blob of [ours, theirs]) {
    blob.fill(0, 40, 72);
    blob.fill(0, blob.length - 64);
  }
  assert.deepEqual(ours, theirs);
});

test('a certificate for everybody, of a strange key or by another authority is not made', () => {
  for (const principals of [[], [''], ['a,b'], ['a b'], ['a\n'], ['dev', '']]) {
    assert.throws(() => sign({ principals }), TypeError);
  }
  for (const blob of [Buffer.alloc(0), Buffer.from('ssh-ed25519'), Buffer.alloc(64, 0xff)]) {
    assert.throws(() => sign({ publicKey: blob }), TypeError);
  }
  const rsa = join(folder, 'rsa-ca');
  execFileSync('ssh-keygen', ['-q', '-t', 'rsa', '-b', '2048', '-N', '', '-f', rsa]);
  assert.throws(() => sign({ ca: parseHostKey(readFileSync(rsa, 'utf8')) }), /ed25519/);
});

test('two certificates are never the same', () => {
  assert.notEqual(sign(), sign());
});

function blobOf(line: string): Buffer {
  return Buffer.from(line.split(' ')[1] ?? '', 'base64');
}
