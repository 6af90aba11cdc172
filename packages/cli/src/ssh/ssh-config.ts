import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import { writeWhole } from '../atomic-write.ts';
import { CliError, EXIT } from '../cli-error.ts';
import { print, tell } from '../output.ts';
import { configFile } from './config-file.ts';
import { SUFFIX } from './host-name.ts';
import { makeKeyPair } from './key-pair.ts';
import { includeBlock, withBlock, withoutBlock } from './user-config.ts';

const SSH_WITHIN_MS = 10_000;

export interface SshConfigOptions {
  readonly remove?: boolean;
  readonly print?: boolean;
  readonly sshDir?: string;
}

interface Files {
  readonly folder: string;
  /** The person's own. */
  readonly config: string;
  /** Ours. */
  readonly included: string;
  readonly identity: string;
}

/** Rejects with CliError. */
export async function sshConfig(options: SshConfigOptions): Promise<void> {
  const files = filesIn(options.sshDir);
  if (options.print === true) {
    process.stdout.write(includeBlock(files.included));
    process.stdout.write(`\n# ${files.included}:\n${configFile(files.identity)}`);
    return;
  }
  if (options.remove === true) remove(files);
  else await install(files);
}

/** ssh takes the home folder from the account, whatever HOME says. */
function filesIn(sshDir: string | undefined): Files {
  const folder = resolve(sshDir ?? join(userInfo().homedir, '.ssh'));
  if (/["\n]/.test(folder)) {
    throw new CliError('ssh cannot name a folder with quotes in its configuration.', EXIT.usage);
  }
  return {
    folder,
    config: join(folder, 'config'),
    included: join(folder, 'burrow_config'),
    identity: join(folder, 'burrow_ed25519'),
  };
}

async function install(files: Files): Promise<void> {
  const { folder, config, included, identity } = files;
  const before = read(config);
  const after = withBlock(before ?? '', includeBlock(included));
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  makeIdentity(identity);
  const ours = configFile(identity);
  if (read(included) !== ours) {
    writeWhole(included, Buffer.from(ours, 'latin1'), 0o600);
    try {
      await checkWithSsh(included);
    } catch (error) {
      // Every use of ssh would fail by it.
      if (before === undefined || withoutBlock(before) === before) rmSync(included);
      throw error;
    }
  }
  if (after === before) {
    print(`Nothing to do: ssh reaches workspaces as <name>${SUFFIX} already.`);
    return;
  }
  writeWhole(config, Buffer.from(after, 'latin1'), 0o600);
  print(
    `ssh reaches workspaces as <name>${SUFFIX} now: ssh demo${SUFFIX}\n${config} includes ${included}; the key is ${identity}.\nTo take it out: burrow ssh-config --remove`,
  );
}

function remove({ config, included, identity }: Files): void {
  const before = read(config);
  const after = before === undefined ? undefined : withoutBlock(before);
  const there = after !== before || existsSync(included);
  if (after !== undefined && after !== before) {
    writeWhole(config, Buffer.from(after, 'latin1'), 0o600);
  }
  rmSync(included, { force: true });
  print(there ? `Removed. ssh knows no *${SUFFIX} any more.` : 'Nothing to do: it was not there.');
  if (existsSync(identity)) tell(`The key ${identity} stays, in case you use it elsewhere.`);
}

/** Both halves, unless they are there. */
function makeIdentity(identity: string): void {
  const there = [identity, `${identity}.pub`].filter((file) => existsSync(file));
  if (there.length === 2) return;
  if (there.length === 1) {
    throw new CliError(
      `Of the key pair ${identity} and ${identity}.pub only ${there[0]} is there. Restore the other half, or remove this one.`,
    );
  }
  const { privateKey, publicLine } = makeKeyPair(`burrow@${userInfo().username}`);
  writeWhole(identity, privateKey, 0o600);
  writeWhole(`${identity}.pub`, `${publicLine}\n`, 0o644);
}

/** latin1 both ways: every byte stays as it is. */
function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'latin1');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new CliError(`Cannot read ${file}: ${(error as Error).message}`);
  }
}

/** Whether the installed ssh understands it. */
function checkWithSsh(file: string): Promise<void> {
  return new Promise((done, reject) => {
    execFile(
      'ssh',
      ['-G', '-F', file, `check${SUFFIX}`],
      { timeout: SSH_WITHIN_MS },
      (error, _stdout, stderr) => {
        if (error === null) return done();
        const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
        reject(
          new CliError(
            missing
              ? 'There is no ssh on this machine: install OpenSSH’s client.'
              : `This machine’s ssh does not understand the configuration; it must be OpenSSH 8.5 or newer. It said: ${stderr.trim()}`,
          ),
        );
      },
    );
  });
}
