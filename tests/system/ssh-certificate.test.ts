// A real sshd that trusts Burrow's authority for users admits exactly whom its certificates name.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import {
  generateHostKey,
  parsePublicKey,
  signUserCertificate,
  type UserCertificate,
} from '../../packages/ssh/src/index.ts';
import { run } from '../harness/run.ts';
import { startSshd, type Sshd } from '../harness/sshd.ts';

const folder = mkdtempSync(join(tmpdir(), 'burrow-user-ca-'));
const key = join(folder, 'key');
const ca = generateHostKey();
let sshd: Sshd;

before(async () => {
  writeFileSync(join(folder, 'ca.pub'), `${ca.publicLine}\n`);
  await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key]);
  sshd = await startSshd([`TrustedUserCAKeys ${join(folder, 'ca.pub')}`, 'LogLevel VERBOSE']);
});

after(async () => {
  await sshd[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

/** What `ssh` prints, signed in by a certificate. */
async function attempt(over: Partial<UserCertificate> = {}, server = sshd) {
  const now = Date.now();
  const line = signUserCertificate({
    publicKey: parsePublicKey(readFileSync(`${key}.pub`, 'utf8')).blob,
    keyId: 'olive via burrow',
    principals: [sshd.user],
    validAfter: now - 60_000,
    validBefore: now + 300_000,
    ca,
    ...over,
  });
  writeFileSync(`${key}-cert.pub`, `${line}\n`);
  writeFileSync(join(folder, 'known_hosts'), `[127.0.0.1]:${server.port} ${server.hostKey}\n`);
  const options = [
    'BatchMode=yes',
    'IdentitiesOnly=yes',
    'StrictHostKeyChecking=yes',
    `UserKnownHostsFile=${join(folder, 'known_hosts')}`,
  ].flatMap((option) => ['-o', option]);
  const command = ['-i', key, '-p', String(server.port), `${sshd.user}@127.0.0.1`, 'echo hello'];
  return run('ssh', ['-F', 'none', ...options, ...command]);
}

test('a certificate with the account as principal is let in, and sshd logs whose it is', async () => {
  const { stdout, stderr } = await attempt();
  assert.equal(stdout, 'hello\n', stderr);
  assert.match(sshd.log, /Accepted certificate ID "olive via burrow"/);
});

for (const [what, over] of [
  ['names another account', () => ({ principals: ['somebody-else'] })],
  ['has expired', () => ({ validBefore: Date.now() - 10_000 })],
  ['is not valid yet', () => ({ validAfter: Date.now() + 60_000 })],
  ['is signed by another authority', () => ({ ca: generateHostKey() })],
] as const) {
  test(`a certificate that ${what} is refused`, async () => {
    const { code, stdout, stderr } = await attempt(over());
    assert.deepEqual([code, stdout], [255, '']);
    assert.match(stderr, /Permission denied/);
  });
}

test('an sshd may ask for the workspace among the principals: one of another workspace is refused', async () => {
  const accepted = join(folder, 'principals');
  writeFileSync(accepted, 'burrow:demo\n');
  await using strict = await startSshd([
    `TrustedUserCAKeys ${join(folder, 'ca.pub')}`,
    `AuthorizedPrincipalsFile ${accepted}`,
  ]);
  const ours = await attempt({ principals: [sshd.user, 'burrow:demo'] }, strict);
  assert.equal(ours.stdout, 'hello\n', ours.stderr);
  const theirs = await attempt({ principals: [sshd.user, 'burrow:other'] }, strict);
  assert.match(theirs.stderr, /Permission denied/);
});
