import { close, type Dir } from 'node:fs';
import { Failure } from './failures.ts';
import { encode, STATUS, type Field } from './protocol.ts';

/** As many files and folders one session may have open. */
export const MAX_HANDLES = 256;

const NOT_OPEN = 'There is no such open file.';

export interface OpenFile {
  readonly kind: 'file';
  readonly fd: number;
  /** Where it was opened; for statvfs only. */
  readonly path: Buffer;
}

export interface OpenFolder {
  readonly kind: 'folder';
  readonly path: Buffer;
  readonly dir: Dir;
  /** `.` and `..`, which node leaves out, before the first read. */
  first: Buffer[];
  ended: boolean;
  /** Reads of one folder follow each other. */
  reading: Promise<unknown>;
}

export type Open = OpenFile | OpenFolder;

/** The files and folders a session has open, by names that are never used twice. */
export class Handles {
  readonly #open = new Map<number, Open>();
  #next = 0;
  /** Being opened, so that a burst of requests cannot pass the limit. */
  #opening = 0;

  get size(): number {
    return this.#open.size;
  }

  /** Opens something within the limit; the reply's handle. */
  async add(open: () => Promise<Open>): Promise<Field> {
    if (this.#open.size + this.#opening >= MAX_HANDLES) {
      throw new Failure(
        STATUS.FAILURE,
        `This session has ${MAX_HANDLES} files open, and may not open more.`,
      );
    }
    this.#opening++;
    try {
      const opened = await open();
      this.#next = (this.#next + 1) >>> 0;
      this.#open.set(this.#next, opened);
      return encode([this.#next]);
    } finally {
      this.#opening--;
    }
  }

  get(handle: Buffer): Open {
    const open = handle.length === 4 ? this.#open.get(handle.readUInt32BE(0)) : undefined;
    if (open === undefined) throw new Failure(STATUS.FAILURE, NOT_OPEN);
    return open;
  }

  file(handle: Buffer): OpenFile {
    const open = this.get(handle);
    if (open.kind !== 'file') throw new Failure(STATUS.FAILURE, 'This is an open folder.');
    return open;
  }

  folder(handle: Buffer): OpenFolder {
    const open = this.get(handle);
    if (open.kind !== 'folder') throw new Failure(STATUS.FAILURE, 'This is an open file.');
    return open;
  }

  async close(handle: Buffer): Promise<void> {
    const number = handle.length === 4 ? handle.readUInt32BE(0) : -1;
    const open = this.#open.get(number);
    if (open === undefined) throw new Failure(STATUS.NO_SUCH_FILE, NOT_OPEN);
    this.#open.delete(number);
    await closeOne(open);
  }

  async closeAll(): Promise<void> {
    const all = [...this.#open.values()];
    this.#open.clear();
    await Promise.allSettled(all.map(closeOne));
  }
}

async function closeOne(open: Open): Promise<void> {
  if (open.kind === 'folder') {
    await open.reading;
    await open.dir.close();
    return;
  }
  await new Promise<void>((resolve, reject) => {
    close(open.fd, (error) => (error === null || error === undefined ? resolve() : reject(error)));
  });
}
