import * as fs from 'node:fs';
import { promisify } from 'node:util';

/** The callback functions as promises: they cost less than a FileHandle, and a number can be closed by whoever holds it. */
export const open = promisify(fs.open) as (
  path: Buffer,
  flags: number,
  mode: number,
) => Promise<number>;
export const fstat = promisify(fs.fstat) as (fd: number) => Promise<fs.Stats>;
export const stat = promisify(fs.stat) as (path: Buffer) => Promise<fs.Stats>;
export const lstat = promisify(fs.lstat) as (path: Buffer) => Promise<fs.Stats>;
export const fsync = promisify(fs.fsync);
export const ftruncate = promisify(fs.ftruncate) as (fd: number, size: number) => Promise<void>;
export const fchmod = promisify(fs.fchmod);
export const fchown = promisify(fs.fchown);
export const futimes = promisify(fs.futimes);
export const opendir = promisify(fs.opendir) as unknown as (
  path: Buffer,
  options: { encoding: 'buffer'; bufferSize: number },
) => Promise<fs.Dir>;

/** Reads at most `length` bytes at `position`; how many were read, 0 at the end. */
export function read(
  fd: number,
  buffer: Buffer,
  offset: number,
  length: number,
  position: number,
): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.read(fd, buffer, offset, length, position, (error, bytes) =>
      error === null ? resolve(bytes) : reject(error),
    );
  });
}

/** Writes all of it at `position` (or at the end of a file opened to append). */
export async function write(
  fd: number,
  buffers: readonly Buffer[],
  position: number,
): Promise<void> {
  let left = buffers;
  for (let at = position; left.length > 0;) {
    const written = await writeSome(fd, left, at);
    at += written;
    left = after(left, written);
  }
}

function writeSome(fd: number, buffers: readonly Buffer[], position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const done = (error: NodeJS.ErrnoException | null, bytes: number): void =>
      error === null ? resolve(bytes) : reject(error);
    const [first] = buffers;
    if (buffers.length === 1 && first !== undefined) {
      fs.write(fd, first, 0, first.length, position, done);
    } else fs.writev(fd, buffers, position, done);
  });
}

function after(buffers: readonly Buffer[], written: number): readonly Buffer[] {
  let bytes = written;
  for (const [i, buffer] of buffers.entries()) {
    if (bytes < buffer.length) {
      return bytes === 0 ? buffers.slice(i) : [buffer.subarray(bytes), ...buffers.slice(i + 1)];
    }
    bytes -= buffer.length;
  }
  return [];
}
