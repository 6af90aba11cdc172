import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { withLock } from './lock.mjs';
import { npm } from './npm.mjs';
import { step } from './progress.mjs';

/** @param {string} path @returns {Record<string, any> | undefined} */
function readJson(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
}

/**
 * True when what npm says it installed is what the lock file asks for. Optional
 * packages may be missing (they belong to other platforms).
 * @param {string} root
 */
export function installedMatchesLock(root) {
  const wanted = readJson(join(root, 'package-lock.json'))?.packages;
  const have = readJson(join(root, 'node_modules/.package-lock.json'))?.packages;
  if (wanted === undefined || have === undefined) return false;
  for (const [path, entry] of Object.entries(wanted)) {
    if (!path.startsWith('node_modules/')) continue;
    if (entry.link === true) {
      // A package of this repository that is newer than the installation.
      if (!existsSync(join(root, path))) return false;
      continue;
    }
    const found = have[path];
    if (found === undefined && (entry.optional === true || entry.devOptional === true)) continue;
    if (found?.version !== entry.version || found?.integrity !== entry.integrity) return false;
  }
  return true;
}

/** @param {string} root */
function digest(root) {
  return createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .update(`${process.platform}-${process.arch}`)
    .digest('hex');
}

/**
 * Runs `npm install` when the packages are missing or package-lock.json changed
 * since; otherwise does nothing, in milliseconds.
 * @param {string} root
 * @param {AbortSignal} [signal]
 */
export async function installPackages(root, signal) {
  const stamp = join(root, 'node_modules/.burrow-install');
  const fresh = () => existsSync(stamp) && readFileSync(stamp, 'utf8') === digest(root);
  if (fresh()) return;
  await withLock(
    join(root, '.burrow/install.lock'),
    async () => {
      if (fresh()) return; // another command has just done it
      if (!installedMatchesLock(root)) {
        const progress = step('Installing packages (only the first time)');
        try {
          // Not `npm ci`: it refuses a lock file that lacks optional packages of other
          // platforms, which is what npm writes where a registry does not carry them.
          await npm(['install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error'], {
            cwd: root,
            ...(signal === undefined ? {} : { signal }),
          });
        } catch (error) {
          progress.fail();
          throw error;
        }
        progress.done('Installed packages');
      }
      writeFileSync(stamp, digest(root));
    },
    {
      onWait: (pid) =>
        process.stderr.write(`  Waiting for process ${pid}, which is installing packages …\n`),
    },
  );
}
