import { lstat, readlink, realpath } from 'node:fs/promises';
import { homeOf } from './accounts.ts';

const SLASH = 0x2f;
const MAX_LINKS = 40;

/**
 * Paths are bytes: a name on Linux is not always UTF-8. They are relative to
 * `start`, which is absolute.
 */
export function absolute(start: string, path: Buffer): Buffer {
  if (path[0] === SLASH) return path;
  const base = start.endsWith('/') ? start : `${start}/`;
  return Buffer.concat([Buffer.from(path.length === 0 ? start : base), path]);
}

/** As `absolute`, with `~` and `~user` at the beginning. */
export async function expand(
  { start, home }: { readonly start: string; readonly home: string },
  path: Buffer,
): Promise<Buffer> {
  if (path[0] !== 0x7e) return absolute(start, path);
  const slash = path.indexOf(SLASH);
  const end = slash === -1 ? path.length : slash;
  const user = path.toString('utf8', 1, end);
  const base = user === '' ? home : await homeOf(user);
  if (base === undefined) {
    throw Object.assign(new Error(`There is no user ${user}.`), { code: 'ENOENT' });
  }
  return Buffer.concat([Buffer.from(base), path.subarray(end)]);
}

/**
 * The path without links, `.` and `..`. Its last part need not exist, as a
 * client asks for where it is about to write.
 */
export async function canonical(path: Buffer): Promise<Buffer> {
  try {
    return await realpath(path, { encoding: 'buffer' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return walk(path);
  }
}

/** As realpath(3), but the last part may be missing. Bytes are held as latin1, one character for each. */
async function walk(path: Buffer): Promise<Buffer> {
  let done = '';
  const left = path.toString('latin1').split('/').reverse();
  for (let links = 0; left.length > 0;) {
    const part = left.pop() ?? '';
    if (part === '' || part === '.') continue;
    if (part === '..') {
      done = done.slice(0, Math.max(done.lastIndexOf('/'), 0));
      continue;
    }
    const next = `${done}/${part}`;
    const bytes = Buffer.from(next, 'latin1');
    const found = await lstat(bytes).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' && left.every((name) => name === '')) return undefined;
      throw error;
    });
    if (found?.isSymbolicLink() !== true) {
      done = next;
      continue;
    }
    if (++links > MAX_LINKS) throw Object.assign(new Error('Too many links.'), { code: 'ELOOP' });
    const target = (await readlink(bytes, { encoding: 'buffer' })).toString('latin1');
    if (target.startsWith('/')) done = '';
    left.push(...target.split('/').reverse());
  }
  return Buffer.from(done === '' ? '/' : done, 'latin1');
}
