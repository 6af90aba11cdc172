import type { Dirent } from 'node:fs';
import { accountNames } from './accounts.ts';
import { attributesOf, NO_ATTRIBUTES } from './attributes.ts';
import * as calls from './calls.ts';
import { END_OF_FILE } from './failures.ts';
import type { OpenFolder } from './handles.ts';
import { longname } from './longname.ts';
import { packet, REPLY, type Field } from './protocol.ts';

/** Names in one reply, as OpenSSH has it. */
const NAMES = 100;

export async function openFolder(path: Buffer): Promise<OpenFolder> {
  const dir = await calls.opendir(path, { encoding: 'buffer', bufferSize: NAMES });
  const first = [Buffer.from('.'), Buffer.from('..')];
  return { kind: 'folder', path, dir, first, ended: false, reading: Promise.resolve() };
}

/** The next NAME reply. */
export function readFolder(id: number, folder: OpenFolder): Promise<Buffer> {
  const next = folder.reading.then(() => nextNames(id, folder));
  folder.reading = next.catch(() => {});
  return next;
}

async function nextNames(id: number, folder: OpenFolder): Promise<Buffer> {
  const names = folder.first;
  folder.first = [];
  while (names.length < NAMES && !folder.ended) {
    const entry = (await folder.dir.read()) as Dirent | null;
    if (entry === null) folder.ended = true;
    else names.push(entry.name as unknown as Buffer);
  }
  if (names.length === 0) throw END_OF_FILE;
  const accounts = await accountNames();
  const now = Date.now();
  const fields = await Promise.all(
    names.map(async (name): Promise<Field[]> => {
      const slash = Buffer.from('/');
      const stats = await calls
        .lstat(Buffer.concat([folder.path, slash, name]))
        .catch(() => undefined);
      // Gone meanwhile: it will be found missing when it is asked for.
      if (stats === undefined) return [name, name, NO_ATTRIBUTES];
      return [name, longname(name, stats, accounts, now), attributesOf(stats)];
    }),
  );
  return packet(REPLY.NAME, id, names.length, ...fields.flat());
}

/** A NAME reply that tells one path. */
export function onePath(id: number, path: Buffer): Buffer {
  return packet(REPLY.NAME, id, 1, path, path, NO_ATTRIBUTES);
}
