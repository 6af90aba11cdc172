import { constants } from 'node:fs';
import {
  chmod,
  link,
  lutimes,
  lchown,
  chown,
  rename,
  truncate,
  unlink,
  utimes,
} from 'node:fs/promises';
import type { Attributes } from './attributes.ts';
import * as calls from './calls.ts';
import { END_OF_FILE, Failure } from './failures.ts';
import type { OpenFile } from './handles.ts';
import { DATA_HEADER, finishData, MAX_DATA, STATUS } from './protocol.ts';
import type { ReplyBuffers } from './reply-buffers.ts';

/** Flags of OPEN. */
export const FLAG = { READ: 1, WRITE: 2, APPEND: 4, CREAT: 8, TRUNC: 16, EXCL: 32 } as const;

/** Whether opening a file so changes nothing. */
export function opensOnly(flags: number): boolean {
  return (flags & ~FLAG.READ) === 0;
}

export async function openFile(
  path: Buffer,
  flags: number,
  { mode = 0o666 }: Attributes,
): Promise<OpenFile> {
  const has = (flag: number): boolean => (flags & flag) !== 0;
  let how: number = constants.O_RDONLY;
  if (has(FLAG.WRITE)) how = has(FLAG.READ) ? constants.O_RDWR : constants.O_WRONLY;
  if (has(FLAG.APPEND)) how |= constants.O_APPEND;
  if (has(FLAG.CREAT)) how |= constants.O_CREAT;
  if (has(FLAG.TRUNC)) how |= constants.O_TRUNC;
  if (has(FLAG.EXCL)) how |= constants.O_EXCL;
  // A pipe without another end must not block one of the few threads that all file work shares.
  how |= constants.O_NONBLOCK | constants.O_NOCTTY;
  return { kind: 'file', fd: await calls.open(path, how, mode), path };
}

/** A DATA reply, read into without a copy. */
export async function readFile(
  buffers: ReplyBuffers,
  id: number,
  fd: number,
  offset: bigint,
  length: number,
): Promise<Buffer> {
  if (offset > BigInt(Number.MAX_SAFE_INTEGER)) throw END_OF_FILE;
  const wanted = Math.min(length, MAX_DATA);
  const reply = buffers.take(wanted);
  const bytes = await calls.read(fd, reply, DATA_HEADER, wanted, Number(offset));
  if (bytes === 0) {
    buffers.give(reply);
    throw END_OF_FILE;
  }
  return finishData(reply, id, bytes);
}

/** A place in a file that node can express. */
export function position(offset: bigint): number {
  if (offset > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new Failure(STATUS.FAILURE, 'No file can be so large.');
  }
  return Number(offset);
}

/** Sets what is given, in the order of OpenSSH's sftp-server. All are tried; the first fault is thrown. */
export async function setAttributes(target: Buffer | number, given: Attributes): Promise<void> {
  const { size, mode, times, owner } = given;
  const fd = typeof target === 'number' ? target : undefined;
  const path = typeof target === 'number' ? '' : target;
  const steps: (() => Promise<void>)[] = [];
  if (size !== undefined) {
    const bytes = position(size);
    steps.push(() => (fd === undefined ? truncate(path, bytes) : calls.ftruncate(fd, bytes)));
  }
  if (mode !== undefined) {
    steps.push(() => (fd === undefined ? chmod(path, mode) : calls.fchmod(fd, mode)));
  }
  if (times !== undefined) {
    const { atime, mtime } = times;
    steps.push(() =>
      fd === undefined ? utimes(path, atime, mtime) : calls.futimes(fd, atime, mtime),
    );
  }
  if (owner !== undefined) {
    const { uid, gid } = owner;
    steps.push(() => (fd === undefined ? chown(path, uid, gid) : calls.fchown(fd, uid, gid)));
  }
  await all(steps);
}

/** For a link itself (lsetstat@openssh.com). Linux has no permissions for links. */
export async function setLinkAttributes(path: Buffer, given: Attributes): Promise<void> {
  const { size, mode, times, owner } = given;
  if (size !== undefined) throw new Failure(STATUS.BAD_MESSAGE, 'A link has no size to set.');
  const steps: (() => Promise<void>)[] = [];
  if (mode !== undefined) {
    steps.push(async () => {
      if ((await calls.lstat(path)).isSymbolicLink()) {
        throw new Failure(STATUS.FAILURE, 'A link has no permissions of its own.');
      }
      await chmod(path, mode);
    });
  }
  if (times !== undefined) steps.push(() => lutimes(path, times.atime, times.mtime));
  if (owner !== undefined) steps.push(() => lchown(path, owner.uid, owner.gid));
  await all(steps);
}

async function all(steps: readonly (() => Promise<void>)[]): Promise<void> {
  const faults: unknown[] = [];
  for (const step of steps) await step().catch((error: unknown) => faults.push(error));
  if (faults.length > 0) throw faults[0];
}

/** Codes of file systems without hard links. */
const NO_LINKS = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EXDEV', 'EMLINK']);

/** RENAME of version 3: never replaces what is there. For a file without a moment for others in between. */
export async function renameNew(from: Buffer, to: Buffer): Promise<void> {
  if ((await calls.lstat(from)).isFile()) {
    const linked = await link(from, to).then(
      () => true,
      (error: NodeJS.ErrnoException) => {
        if (NO_LINKS.has(error.code ?? '')) return false;
        throw error;
      },
    );
    if (linked) return unlink(from);
  }
  const there = await calls.lstat(to).catch(() => undefined);
  if (there !== undefined)
    throw new Failure(STATUS.FAILURE, 'There is something of that name already.');
  return rename(from, to);
}

/** Copies within the workload (copy-data); `length` 0n is up to the end. */
export async function copyData(
  from: { readonly fd: number; readonly offset: bigint; readonly length: bigint },
  to: { readonly fd: number; readonly offset: bigint },
  stopped: () => boolean,
): Promise<void> {
  const buffer = Buffer.allocUnsafe(MAX_DATA);
  let left = from.length === 0n ? Number.POSITIVE_INFINITY : position(from.length);
  let source = position(from.offset);
  for (let target = position(to.offset); left > 0 && !stopped();) {
    const bytes = await calls.read(from.fd, buffer, 0, Math.min(left, buffer.length), source);
    if (bytes === 0) {
      if (left === Number.POSITIVE_INFINITY) return;
      throw END_OF_FILE;
    }
    await calls.write(to.fd, [buffer.subarray(0, bytes)], target);
    source += bytes;
    target += bytes;
    left -= bytes;
  }
}
