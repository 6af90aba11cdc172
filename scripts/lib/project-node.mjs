import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '../..');

/** Runs TypeScript directly, and has `node:sqlite` and `await using`. */
export const NEEDED_MAJOR = 24;

/**
 * The Node to run the project with: the one that came with its packages
 * (`node-<os>-<arch>`), else the running one when it is new enough.
 * @returns {string | undefined} a path, or undefined when there is none
 */
export function projectNode(root = ROOT) {
  const own = join(root, 'node_modules', `node-${process.platform}-${process.arch}`, 'bin', 'node');
  if (existsSync(own)) return own;
  return Number(process.versions.node.split('.')[0]) >= NEEDED_MAJOR ? process.execPath : undefined;
}
