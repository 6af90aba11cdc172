/** What the SSH scenarios move: one big file and a tree of small ones. */
import { randomBytes } from 'node:crypto';
import { closeSync, ftruncateSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** The size that all counts below belong to: 1 GB, as in the table of targets. */
const FULL_MEGABYTES = 1000;
const FULL_FILES = 10_000;
const FULL_CONNECTIONS = 200;
const FILES_PER_FOLDER = 100;

export interface SshLoad {
  /** Bytes of the big file; 10^6 to the megabyte. */
  readonly bytes: number;
  /** Small files in the tree, of 1 to 8 KiB. */
  readonly files: number;
  /** Connections one after the other. */
  readonly connections: number;
  /** Made when first asked for: random bytes. */
  bigFile(): string;
  /** A folder with the small files in folders of 100. */
  tree(): string;
  /** A file of so many bytes that takes no room. */
  sparse(bytes: number): string;
  /** A path in the run's directory where nothing is. */
  free(): string;
}

/** A smaller load is smaller in everything, so that a short run tries every scenario. */
export function sshLoad(directory: string, megabytes: number): SshLoad {
  const share = Math.min(1, megabytes / FULL_MEGABYTES);
  const bytes = megabytes * 1_000_000;
  const files = Math.max(FILES_PER_FOLDER, Math.round(FULL_FILES * share));
  const root = join(directory, 'ssh-load');
  let big: string | undefined;
  let tree: string | undefined;
  let unused = 0;
  const free = (): string => {
    mkdirSync(root, { recursive: true });
    return join(root, `file-${unused++}`);
  };
  return {
    bytes,
    files,
    connections: Math.max(10, Math.round(FULL_CONNECTIONS * share)),
    bigFile: () => (big ??= random(free(), megabytes)),
    tree: () => (tree ??= smallFiles(join(free(), 'tree'), files)),
    sparse(length) {
      const path = free();
      const file = openSync(path, 'w');
      ftruncateSync(file, length);
      closeSync(file);
      return path;
    },
    free,
  };
}

function random(path: string, megabytes: number): string {
  const block = randomBytes(1_000_000);
  const file = openSync(path, 'w');
  for (let i = 0; i < megabytes; i += 1) writeSync(file, block);
  closeSync(file);
  return path;
}

function smallFiles(root: string, count: number): string {
  const bytes = randomBytes(8192);
  for (let i = 0; i < count; i += 1) {
    const folder = join(root, `folder-${Math.floor(i / FILES_PER_FOLDER)}`);
    if (i % FILES_PER_FOLDER === 0) mkdirSync(folder, { recursive: true });
    // Sizes that differ, and are the same in every run.
    writeFileSync(
      join(folder, `file-${i}`),
      bytes.subarray(0, 1024 + ((i * 2_654_435_761) % 7169)),
    );
  }
  return root;
}
