import { chmod, mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { RelayError } from '../errors.ts';
import { unwritable } from './sql-error.ts';

/**
 * Makes the database's directory (0700) and file (0600) before SQLite does, so
 * that nobody else can ever read them; SQLite gives its journals the file's mode.
 * A directory that is already there keeps its mode: it may be shared on purpose.
 */
export async function prepareFiles(path: string): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const file = await open(path, 'a', 0o600);
    await file.close();
    await chmod(path, 0o600);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    if (code === 'ENOSPC') {
      throw new RelayError(
        'unavailable',
        `The database ${path} cannot be made: its disk is full. Free some space, then start the relay again.`,
        { cause: error },
      );
    }
    throw new RelayError('config-invalid', `${unwritable(path)} (${code})`, { cause: error });
  }
}
