import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import ssh2 from 'ssh2';
import { certificateSignIn } from './certificate-sign-in.ts';
import { generateHostKey } from './host-key.ts';

const folder = mkdtempSync(join(tmpdir(), 'burrow-certificate-'));
const user = userInfo().username;
let port = 0;
let stop = (): void => {};

/** A real sshd that trusts one authority and no key. */
before(async () => {
  for (const name of ['ca', 'host']) {
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(folder, name)]);
  }
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  port = (probe.address() as AddressInfo).port;
  probe.close();
  // Debian makes this one at boot; a server run as root refuses to start without it.
  if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 });
  writeFileSync(
    join(folder, 'sshd_config'),
    [
      `ListenAddress 127.0.0.1:${port}`,
      `HostKey ${join(folder, 'host')}`,
      `TrustedUserCAKeys ${join(folder, 'ca.pub')}`,
      'AuthorizedKeysFile none',
      'PidFile none',
      'UsePAM no',
      'PasswordAuthentication no',
      'PermitRootLogin prohibit-password',
    ].join('\n'),
  );
  const sshd = spawn('/usr/sbin/sshd', ['-D', '-e', '-f', join(folder, 'sshd_config')], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  stop = () => sshd.kill();
  for await (const line of sshd.stderr) if (String(line).includes('listening')) break;
});
after(() => {
  stop();
  rmSync(folder, { recursive: true });
});

function signed(principal: string, validity: string) {
  const key = generateHostKey();
  const file = join(folder, `user-${principal}-${validity.length}`);
  writeFileSync(`${file}.pub`, key.publicLine);
  chmodSync(join(folder, 'ca'), 0o600);
  execFileSync('ssh-keygen', [
    ...['-q', '-s', join(folder, 'ca'), '-I', 'test', '-n', principal, '-V', validity],
    `${file}.pub`,
  ]);
  return { key, certificate: readFileSync(`${file}-cert.pub`, 'utf8') };
}

async function signIn({ key, certificate }: ReturnType<typeof signed>): Promise<string> {
  const client = new ssh2.Client();
  try {
    client.connect({
      host: '127.0.0.1',
      port,
      username: user,
      authHandler: certificateSignIn(client, user, key, certificate),
    });
    await once(client, 'ready');
    const stream = await new Promise<ssh2.ClientChannel>((resolve, reject) =>
      client.exec('echo in', (error, channel) => (error ? reject(error) : resolve(channel))),
    );
    return String((await once(stream, 'data'))[0]);
  } finally {
    client.end();
  }
}

test('a certificate of the trusted authority signs in at a real sshd', async () => {
  assert.equal(await signIn(signed(user, '-1m:+5m')), 'in\n');
});

test('one for somebody else, or one that has expired, does not', async () => {
  await assert.rejects(signIn(signed('somebody-else', '-1m:+5m')), /authentication methods failed/);
  await assert.rejects(signIn(signed(user, '-10m:-5m')), /authentication methods failed/);
});
