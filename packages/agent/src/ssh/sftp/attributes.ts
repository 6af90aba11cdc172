import type { Stats } from 'node:fs';
import { encode, MalformedError, type Field, type Fields } from './protocol.ts';

const FLAG = { SIZE: 1, UIDGID: 2, PERMISSIONS: 4, ACMODTIME: 8, EXTENDED: 0x80000000 } as const;
const MAX_UINT32 = 0xffffffff;
const MAX_EXTENDED = 64;

/** What a client says of a file; whatever it left out is undefined. Times are seconds since 1970. */
export interface Attributes {
  readonly size?: bigint;
  readonly owner?: { readonly uid: number; readonly gid: number };
  /** Permission bits, type bits removed. */
  readonly mode?: number;
  readonly times?: { readonly atime: number; readonly mtime: number };
}

export function readAttributes(fields: Fields): Attributes {
  const flags = fields.uint32();
  const size = (flags & FLAG.SIZE) === 0 ? undefined : fields.uint64();
  const owner =
    (flags & FLAG.UIDGID) === 0 ? undefined : { uid: fields.uint32(), gid: fields.uint32() };
  const mode = (flags & FLAG.PERMISSIONS) === 0 ? undefined : fields.uint32() & 0o7777;
  const times =
    (flags & FLAG.ACMODTIME) === 0 ? undefined : { atime: fields.uint32(), mtime: fields.uint32() };
  if ((flags & FLAG.EXTENDED) !== 0) {
    const count = fields.uint32();
    if (count > MAX_EXTENDED) throw new MalformedError('Too many extended attributes.');
    for (let i = 0; i < count * 2; i++) fields.string();
  }
  return {
    ...(size === undefined ? {} : { size }),
    ...(owner === undefined ? {} : { owner }),
    ...(mode === undefined ? {} : { mode }),
    ...(times === undefined ? {} : { times }),
  };
}

/** No attributes at all. */
export const NO_ATTRIBUTES: Field = { raw: encode([0]) };

export function attributesOf(stats: Stats): Field {
  const { SIZE, UIDGID, PERMISSIONS, ACMODTIME } = FLAG;
  return {
    raw: encode([
      SIZE | UIDGID | PERMISSIONS | ACMODTIME,
      BigInt(stats.size),
      stats.uid,
      stats.gid,
      stats.mode,
      seconds(stats.atimeMs),
      seconds(stats.mtimeMs),
    ]),
  };
}

/** Version 3 has no room for times before 1970 or after 2106. */
function seconds(ms: number): number {
  return Math.min(Math.max(Math.floor(ms / 1000), 0), MAX_UINT32);
}
