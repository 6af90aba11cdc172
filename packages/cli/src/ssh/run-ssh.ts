import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { CliError } from '../cli-error.ts';
import { tell } from '../output.ts';
import { plainText } from '../plain-text.ts';
import { hostKeyOf } from '../relay/workspace-ssh.ts';
import { readSettings } from '../settings/settings.ts';
import { fingerprintOfLine } from './fingerprints.ts';
import { SUFFIX, workspaceOf } from './host-name.ts';
import { makeKeyPair } from './key-pair.ts';
import { forShell } from './own-command.ts';

/** As ssh itself ends when it could not connect (ssh(1), EXIT STATUS). */
const NO_CONNECTION = 255;

/** Runs ssh in this terminal. Resolves with its exit code; 255, having said why, when it could not be started. */
export async function runSsh(host: string, rest: readonly string[]): Promise<number> {
  let folder: string | undefined;
  try {
    const workspace = workspaceOf(host);
    const hostKey = await hostKeyOf(readSettings(), workspace);
    folder = mkdtempSync(join(process.env['XDG_RUNTIME_DIR'] || tmpdir(), 'burrow-ssh-'));
    return await start(sshArguments(workspace, hostKey, folder, rest));
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    tell(`burrow: ${plainText(error.message)}`);
    return NO_CONNECTION;
  } finally {
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  }
}

/** Writes what they name into `folder`, which is for its owner alone. */
function sshArguments(
  workspace: string,
  hostKey: string,
  folder: string,
  rest: readonly string[],
): string[] {
  const { options, command } = split(rest);
  const identity = join(folder, 'id');
  const knownHosts = join(folder, 'known_hosts');
  const { privateKey, publicLine } = makeKeyPair('burrow');
  writeFileSync(identity, privateKey, { mode: 0o600 });
  writeFileSync(`${identity}.pub`, `${publicLine}\n`);
  writeFileSync(knownHosts, `${workspace}${SUFFIX} ${hostKey}\n`);
  const settings = {
    ProxyCommand: forShell([
      'ssh-proxy',
      '--key',
      fingerprintOfLine(publicLine) ?? '',
      '--',
      workspace,
    ]),
    HostKeyAlias: workspace + SUFFIX,
    UserKnownHostsFile: `"${knownHosts}"`,
    GlobalKnownHostsFile: 'none',
    KnownHostsCommand: 'none',
    StrictHostKeyChecking: 'yes',
    UpdateHostKeys: 'no',
    CheckHostIP: 'no',
    IdentityFile: `"${identity}"`,
    IdentitiesOnly: 'yes',
    PreferredAuthentications: 'publickey',
  };
  return [
    ...Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`]),
    ...options,
    workspace + SUFFIX,
    ...command,
  ];
}

/** `-- -A -L … -- command`: only a `--` at the very beginning starts options, as a command may hold one too. */
export function split(rest: readonly string[]): { options: string[]; command: string[] } {
  if (rest[0] !== '--') return { options: [], command: [...rest] };
  const end = rest.indexOf('--', 1);
  return end === -1
    ? { options: rest.slice(1), command: [] }
    : { options: rest.slice(1, end), command: rest.slice(end + 1) };
}

async function start(args: readonly string[]): Promise<number> {
  const child = spawn('ssh', args, { stdio: 'inherit' });
  // A terminal sends Ctrl-C to ssh as well: whether it ends is for ssh to say.
  const ignore = (): void => {};
  const pass = (signal: NodeJS.Signals): void => void child.kill(signal);
  process.on('SIGINT', ignore).on('SIGQUIT', ignore).on('SIGTERM', pass).on('SIGHUP', pass);
  try {
    const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
    return code ?? 128 + (signal === null ? 0 : constants.signals[signal]);
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    throw new CliError(
      missing
        ? 'There is no ssh on this machine: install OpenSSH’s client.'
        : `ssh could not be started: ${(error as Error).message}`,
    );
  } finally {
    process.off('SIGINT', ignore).off('SIGQUIT', ignore).off('SIGTERM', pass).off('SIGHUP', pass);
  }
}
