import { spawn, spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { step } from './progress.mjs';

/** A program that the project does not bring itself. */
export interface Need {
  /** For people. */
  readonly what: string;
  /** The Debian package that holds it. */
  readonly debian: string;
  readonly present: () => boolean;
}

/** True when one of the commands is in PATH. */
export function hasCommand(...names: readonly string[]): boolean {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  return names.some((name) =>
    folders.some((folder) => {
      try {
        accessSync(join(folder, name), constants.X_OK);
        return true;
      } catch {
        return false;
      }
    }),
  );
}

/** For the system's own Python: Debian's packages are for that one. */
export function hasPythonModule(name: string): boolean {
  return spawnSync('/usr/bin/python3', ['-c', `import ${name}`], { stdio: 'ignore' }).status === 0;
}

function aptGet(args: readonly string[], signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn('apt-get', args, {
      // RUNLEVEL: servers that come with a package are not started as services of this machine.
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' },
      stdio: ['ignore', 'pipe', 'pipe'],
      signal,
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        output = (output + chunk.toString()).slice(-4_000);
      });
    }
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve();
      else reject(new Error(`apt-get ${args[0]} ended with code ${code}:\n${output.trim()}`));
    });
  });
}

/**
 * Makes sure that all needs are met: installs what is missing where this is
 * root on Debian, and otherwise rejects with a sentence that names each missing
 * thing and the command to install it.
 */
export async function ensureSystemPackages(
  needs: readonly Need[],
  signal: AbortSignal,
): Promise<void> {
  const missing = needs.filter((need) => !need.present());
  if (missing.length === 0) return;
  const packages = [...new Set(missing.map((need) => need.debian))];
  const install = ['install', '-y', '--no-install-recommends', ...packages];
  if (!hasCommand('apt-get') || process.getuid?.() !== 0) {
    const list = missing.map((need) => `  - ${need.what} (Debian package ${need.debian})`);
    throw new Error(
      `These programs are missing:\n${list.join('\n')}\n` +
        `On Debian or Ubuntu: sudo apt-get ${install.join(' ')}`,
    );
  }
  const progress = step(`Installing Debian packages: ${packages.join(' ')}`);
  try {
    await aptGet(['update', '-q'], signal);
    await aptGet(install, signal);
  } catch (error) {
    progress.fail();
    throw error;
  }
  progress.done();
  const still = missing.filter((need) => !need.present());
  if (still.length > 0) {
    throw new Error(`Still missing: ${still.map((need) => need.what).join(', ')}.`);
  }
}
