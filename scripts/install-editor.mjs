// Installs a real VS Code server (the one inside code-server) from the npm
// registry, without compilers and without running install scripts. What is
// installed is pinned, byte for byte, by the lock files in scripts/editor/.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { copyFile, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { withLock } from './lib/lock.mjs';
import { npm } from './lib/npm.mjs';
import { step } from './lib/progress.mjs';
import { ROOT } from './lib/project-node.mjs';

const PINS = join(ROOT, 'scripts/editor');
const INSTALL = [
  'ci',
  '--ignore-scripts',
  '--omit=dev',
  '--no-audit',
  '--no-fund',
  '--loglevel=error',
];
const SERVER = 'node_modules/code-server/lib/vscode';

function versionName() {
  const hash = createHash('sha256');
  for (const file of ['package.json', 'package-lock.json', 'vscode-lock.json']) {
    hash.update(readFileSync(join(PINS, file)));
  }
  const { dependencies } = JSON.parse(readFileSync(join(PINS, 'package.json'), 'utf8'));
  return `code-server-${dependencies['code-server']}-${hash.digest('hex').slice(0, 12)}`;
}

/** Where editors are kept: BURROW_EDITOR_DIR (to share one between checkouts), else .burrow/editor. */
export function editorCache() {
  return resolve(process.env.BURROW_EDITOR_DIR ?? join(ROOT, '.burrow/editor'));
}

/**
 * Installs the editor unless it is there. Safe to call from several processes
 * at once; an interrupted install leaves nothing that looks finished.
 * @param {{ cache?: string, signal?: AbortSignal }} [options]
 * @returns {Promise<string>} the folder that holds out/server-main.js
 */
export async function installEditor({ cache = editorCache(), signal } = {}) {
  const home = join(cache, versionName());
  const server = join(home, SERVER);
  if (existsSync(home)) return server;
  await withLock(
    join(cache, 'install.lock'),
    async () => {
      if (existsSync(home)) return;
      const progress = step('Installing the VS Code server (only the first time, about 600 MB)');
      const temporary = join(cache, `incomplete-${process.pid}`);
      try {
        await removeLeftovers(cache);
        await mkdir(temporary, { recursive: true });
        for (const file of ['package.json', 'package-lock.json']) {
          await copyFile(join(PINS, file), join(temporary, file));
        }
        const run = (cwd) => npm(INSTALL, { cwd, ...(signal === undefined ? {} : { signal }) });
        progress.update('1 of 2: code-server');
        await run(temporary);
        // The lock that comes in the package lacks one entry, so that `npm ci` refuses it.
        await copyFile(
          join(PINS, 'vscode-lock.json'),
          join(temporary, SERVER, 'npm-shrinkwrap.json'),
        );
        progress.update('2 of 2: the modules of VS Code');
        const both = [join(temporary, SERVER), join(temporary, SERVER, 'extensions')].map(run);
        // Both must have ended before the folder may be removed.
        await Promise.allSettled(both);
        await Promise.all(both);
        await writeFile(join(temporary, 'installed.txt'), `${new Date().toISOString()}\n`);
        await rename(temporary, home);
      } catch (error) {
        progress.fail();
        await rm(temporary, { recursive: true, force: true });
        throw error;
      }
      progress.done('Installed the VS Code server');
    },
    {
      onWait: (pid) =>
        process.stderr.write(
          `  Waiting for process ${pid}, which is installing the VS Code server …\n`,
        ),
    },
  );
  return server;
}

/** Only called under the lock: whatever is incomplete now belongs to nobody. */
async function removeLeftovers(cache) {
  for (const name of await readdir(cache)) {
    if (name.startsWith('incomplete-'))
      await rm(join(cache, name), { recursive: true, force: true });
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  try {
    process.stdout.write(`${await installEditor()}\n`);
  } catch (error) {
    process.stderr.write(`The VS Code server could not be installed. ${error.message}\n`);
    process.exitCode = 1;
  }
}
