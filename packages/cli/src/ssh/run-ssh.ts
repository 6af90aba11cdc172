import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { CliError } from '../cli-error.ts';
import { tell } from '../output.ts';
import { plainText } from '../plain-text.ts';
import { certify, workspaceSsh } from '../relay/workspace-ssh.ts';
import { readSettings } from '../settings/settings.ts';
import { fingerprintOfLine } from './fingerprints.ts';
import { SUFFIX, workspaceOf } from './host-name.ts';
import { makeKeyPair, type KeyPair } from './key-pair.ts';
import { forShell } from './own-command.ts';

/** As ssh itself ends when it could not connect (ssh(1), EXIT STATUS). */
const NO_CONNECTION = 255;

/** Runs ssh in this terminal. Resolves with its exit code; 255, having said why, when it could not be started. */
export async function runSsh(host: string, rest: readonly string[]): Promise<number> {
  let folder: string | undefined;
  try {
    const workspace = workspaceOf(host);
    const settings = readSettings();
    const { hostKey, sshdUser } = await workspaceSsh(settings, workspace);
    const pair = makeKeyPair('burrow');
    const certificate =
      sshdUser === undefined ? undefined : await certify(settings, workspace, pair.publicLine);
    folder = mkdtempSync(join(process.env['XDG_RUNTIME_DIR'] || tmpdir(), 'burrow-ssh-'));
    const { options, command } = split(rest);
    const own = sshSettings(folder, { workspace, hostKey, sshdUser, pair, certificate });
    return await start([
      // Of a setting that is there twice ssh takes the first (ssh_config(5)).
      ...Object.entries(own.fixed).flatMap(([name, value]) => ['-o', `${name}=${value}`]),
      ...options,
      ...Object.entries(own.defaults).flatMap(([name, value]) => ['-o', `${name}=${value}`]),
      workspace + SUFFIX,
      ...command,
    ]);
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    tell(`burrow: ${plainText(error.message)}`);
    return NO_CONNECTION;
  } finally {
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  }
}

interface Connection {
  readonly workspace: string;
  readonly hostKey: string;
  readonly sshdUser: string | undefined;
  readonly pair: KeyPair;
  readonly certificate: string | undefined;
}

/** Writes the files that they name into `folder`, which is for its owner alone. */
function sshSettings(
  folder: string,
  { workspace, hostKey, sshdUser, pair, certificate }: Connection,
): { fixed: Record<string, string>; defaults: Record<string, string> } {
  const identity = join(folder, 'id');
  const knownHosts = join(folder, 'known_hosts');
  writeFileSync(identity, pair.privateKey, { mode: 0o600 });
  writeFileSync(`${identity}.pub`, `${pair.publicLine}\n`);
  // ssh finds it by its name.
  if (certificate !== undefined) writeFileSync(`${identity}-cert.pub`, `${certificate}\n`);
  writeFileSync(knownHosts, `${workspace}${SUFFIX} ${hostKey}\n`);
  const fingerprint = fingerprintOfLine(pair.publicLine) ?? '';
  return {
    fixed: {
      ProxyCommand: forShell(['ssh-proxy', '--key', fingerprint, '--', workspace]),
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
    },
    defaults: sshdUser === undefined ? {} : { User: sshdUser },
  };
}

/**
 * `-- -A -L … -- command`: only a `--` at the very beginning starts options, as
 * a command may hold one too. `-- command` is how many tools begin a command:
 * what begins with no dash is no option.
 */
export function split(rest: readonly string[]): { options: string[]; command: string[] } {
  if (rest[0] !== '--') return { options: [], command: [...rest] };
  if (!rest[1]?.startsWith('-')) return { options: [], command: rest.slice(1) };
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
