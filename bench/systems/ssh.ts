import { mkdirSync, writeFileSync, readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { Child, accepts, run } from '../lib/child.ts';
import { freePort } from '../lib/free-port.ts';
import { tool } from '../lib/tools.ts';
import type { System } from '../scenario.ts';
import type { Workload } from './workload.ts';

/** An OpenSSH server on loopback, with keys of its own: for reverse tunnels, and to compare Burrow's SSH with. */
export interface SshServer extends AsyncDisposable {
  readonly port: number;
  /** Holds `user`, a private key that it admits, beside its `user.pub`. */
  readonly directory: string;
  /** `ssh-ed25519 AAAA…` */
  readonly hostKey: string;
}

export async function startSshServer(directory: string): Promise<SshServer> {
  const root = join(directory, 'ssh');
  mkdirSync(root, { recursive: true, mode: 0o700 });
  for (const key of ['host', 'user'])
    await run(tool('ssh-keygen'), ['-q', '-t', 'ed25519', '-N', '', '-f', join(root, key)]);
  writeFileSync(join(root, 'authorized_keys'), readFileSync(join(root, 'user.pub')));
  // Debian makes this one at boot; a server run as root refuses to start without it.
  if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 });
  const home = join(root, 'home');
  mkdirSync(home);
  const port = await freePort();
  writeFileSync(
    join(root, 'sshd_config'),
    [
      `ListenAddress 127.0.0.1:${port}`,
      `HostKey ${join(root, 'host')}`,
      `AuthorizedKeysFile ${join(root, 'authorized_keys')}`,
      'PidFile none',
      'StrictModes no',
      'UsePAM no',
      'PasswordAuthentication no',
      'PermitRootLogin prohibit-password',
      'AllowTcpForwarding yes',
      'Subsystem sftp internal-sftp',
      // Shells read no start files of whoever runs this: those may cost more than the connection.
      `SetEnv HOME=${home}`,
      'MaxSessions 100',
      'LogLevel ERROR',
    ].join('\n'),
  );
  // sshd wants to be started by its full path, and -e sends its log to stderr.
  const sshd = new Child(tool('sshd'), ['-D', '-e', '-f', join(root, 'sshd_config')]);
  await sshd.listening(port);
  return {
    port,
    directory: root,
    hostKey: readFileSync(join(root, 'host.pub'), 'utf8').split(' ', 2).join(' ').trim(),
    [Symbol.asyncDispose]: () => sshd.stop(),
  };
}

/** `ssh -R` from the workload's side, reaching the server at `through` (its own port, or a slow line to it). */
export async function startReverseTunnel(
  server: SshServer,
  workload: Workload,
  through = server.port,
  wait = true,
): Promise<System & AsyncDisposable> {
  const ports = { http: await freePort(), echo: await freePort() };
  const ssh = new Child(tool('ssh'), [
    '-N',
    '-T',
    '-F',
    'none',
    '-i',
    join(server.directory, 'user'),
    '-p',
    String(through),

    '-o',
    'StrictHostKeyChecking=no',
    '-o',
    'UserKnownHostsFile=/dev/null',
    '-o',
    'LogLevel=ERROR',
    '-o',
    'ExitOnForwardFailure=yes',
    '-o',
    'IdentitiesOnly=yes',
    '-o',
    'BatchMode=yes',
    '-R',
    `127.0.0.1:${ports.http}:127.0.0.1:${workload.httpPort}`,
    '-R',
    `127.0.0.1:${ports.echo}:127.0.0.1:${workload.echoPort}`,
    `${userInfo().username}@127.0.0.1`,
  ]);
  if (wait) await ssh.until(async () => (await accepts(ports.http)) && (await accepts(ports.echo)));
  return {
    endpoint: (upstream) => ({
      port: ports[upstream],
      headers: { Host: `127.0.0.1:${ports[upstream]}` },
    }),
    [Symbol.asyncDispose]: () => ssh.stop(),
  };
}
