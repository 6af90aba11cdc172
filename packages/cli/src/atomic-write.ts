import {
  chmodSync,
  chownSync,
  closeSync,
  fsyncSync,
  lstatSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { CliError } from './cli-error.ts';

/**
 * Replaces a file whole or not at all. A symbolic link stays, and what it leads to is
 * replaced; mode and owner stay as they are, else they are `mode` and the process's own.
 * Throws CliError.
 */
export function writeWhole(file: string, content: string | Buffer, mode: number): void {
  let temporary: string | undefined;
  try {
    const target = isLink(file) ? realpathSync(file) : file;
    const before = statSync(target, { throwIfNoEntry: false });
    temporary = `${target}.${process.pid}.new`;
    const descriptor = openSync(temporary, 'wx', mode);
    try {
      const bytes = Buffer.from(content as string);
      for (let at = 0; at < bytes.length;) at += writeSync(descriptor, bytes, at);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    // The mode given to `open` is less the umask.
    chmodSync(temporary, before === undefined ? mode : before.mode & 0o7777);
    if (before !== undefined && before.uid !== process.getuid?.()) {
      chownSync(temporary, before.uid, before.gid);
    }
    renameSync(temporary, target);
  } catch (error) {
    if (temporary !== undefined) rmSync(temporary, { force: true });
    throw new CliError(`Cannot write ${file}: ${(error as Error).message}`, undefined, {
      cause: error,
    });
  }
}

function isLink(file: string): boolean {
  return lstatSync(file, { throwIfNoEntry: false })?.isSymbolicLink() ?? false;
}
