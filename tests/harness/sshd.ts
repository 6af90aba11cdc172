import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:net';
import { eventually } from './eventually.ts';
import { run } from './run.ts';

/** OpenSSH's own server on a free port of 127.0.0.1, run by and for the user of the tests. */
export interface Sshd extends AsyncDisposable {
  readonly port: number;
  /** `ssh-ed25519 AAAA…` */
  readonly hostKey: string;
  /** A private key that it admits. */
  readonly identity: string;
  readonly user: string;
  readonly pid: number;
  readonly log: string;
}

/** `config`: further lines of sshd_config. */
export async function startSshd(config: readonly string[] = []): Promise<Sshd> {
  const folder = mkdtempSync(join(tmpdir(), 'burrow-sshd-'));
  const file = (name: string): string => join(folder, name);
  for (const name of ['host_key', 'identity']) {
    await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', file(name)]);
  }
  writeFileSync(file('authorized_keys'), readFileSync(file('identity.pub')), { mode: 0o600 });
  // Of root's sshd; it refuses to start without.
  if (userInfo().uid === 0) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 });
  const port = await freePort();
  writeFileSync(
    file('sshd_config'),
    [
      `ListenAddress 127.0.0.1:${port}`,
      `HostKey ${file('host_key')}`,
      `AuthorizedKeysFile ${file('authorized_keys')}`,
      'PidFile none',
      'UsePAM no',
      'PermitRootLogin prohibit-password',
      'PasswordAuthentication no',
      'KbdInteractiveAuthentication no',
      // The folder of the tests is under /tmp, which all may write to.
      'StrictModes no',
      'MaxStartups 300',
      'MaxSessions 300',
      'Subsystem sftp internal-sftp',
      ...config,
      '',
    ].join('\n'),
  );
  const child = spawn('/usr/sbin/sshd', ['-D', '-e', '-f', file('sshd_config')], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (log += text));
  const exited = once(child, 'exit');
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
    await exited;
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await eventually('sshd listens', async () => {
      if (child.exitCode !== null) throw new Error(`sshd ended:\n${log}`);
      const socket = connect(port, '127.0.0.1');
      socket.on('error', () => {});
      const [first] = (await once(socket, 'data')) as [Buffer];
      socket.destroy();
      return first.toString().startsWith('SSH-2.0-');
    });
  } catch (error) {
    await stop();
    throw error;
  }
  const [type, base64] = readFileSync(file('host_key.pub'), 'utf8').split(' ');
  return {
    port,
    hostKey: `${type} ${base64?.trim()}`,
    identity: file('identity'),
    user: userInfo().username,
    pid: child.pid ?? 0,
    get log() {
      return log;
    },
    [Symbol.asyncDispose]: stop,
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
