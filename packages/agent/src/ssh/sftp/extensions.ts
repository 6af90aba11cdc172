import { link, rename, statfs } from 'node:fs/promises';
import { accountNames, homeOf } from './accounts.ts';
import { readAttributes } from './attributes.ts';
import * as calls from './calls.ts';
import { Failure } from './failures.ts';
import { copyData, setLinkAttributes } from './files.ts';
import { onePath } from './folders.ts';
import { MAX_HANDLES, type Handles } from './handles.ts';
import { absolute, canonical, expand } from './paths.ts';
import {
  encode,
  MalformedError,
  MAX_DATA,
  MAX_PACKET,
  packet,
  REPLY,
  STATUS,
  type Fields,
} from './protocol.ts';

export interface ExtensionContext {
  /** What paths are relative to. */
  readonly start: string;
  /** What `~` stands for. */
  readonly home: string;
  readonly handles: Handles;
  readonly stopped: () => boolean;
}

interface Extension {
  readonly version: string;
  /** Changes nothing. */
  readonly shared?: boolean;
  /**
   * Reads the fields at once; the work comes back, which replies, or says
   * nothing for OK. Handles are looked up by the work: until it is its turn
   * they may be closed.
   */
  readonly prepare: (
    context: ExtensionContext,
    id: number,
    fields: Fields,
  ) => () => Promise<Buffer | undefined>;
}

const MAX_IDS = 1024;
/** The longest name on the file systems of Linux; statfs does not tell. */
const MAX_NAME = 255n;

/** For what has no reply but OK. */
function quietly(work: () => Promise<void>): () => Promise<undefined> {
  return async () => {
    await work();
    return undefined;
  };
}

async function freeSpace(id: number, path: Buffer | string): Promise<Buffer> {
  const all = await statfs(path, { bigint: true });
  return packet(
    REPLY.EXTENDED,
    id,
    ...[all.bsize, all.bsize, all.blocks, all.bfree, all.bavail, all.files, all.ffree, all.ffree],
    ...[0n, 0n, MAX_NAME],
  );
}

/** OpenSSH's extensions (its file PROTOCOL, section 4; `copy-data` from draft-ietf-secsh-filexfer-extensions-00). */
export const EXTENSIONS: Readonly<Record<string, Extension>> = {
  'posix-rename@openssh.com': {
    version: '1',
    prepare: ({ start }, _id, fields) => {
      const [from, to] = [absolute(start, fields.string()), absolute(start, fields.string())];
      return quietly(() => rename(from, to));
    },
  },
  'statvfs@openssh.com': {
    version: '2',
    shared: true,
    prepare: ({ start }, id, fields) => {
      const path = absolute(start, fields.string());
      return () => freeSpace(id, path);
    },
  },
  'fstatvfs@openssh.com': {
    version: '2',
    shared: true,
    prepare: ({ handles }, id, fields) => {
      const handle = fields.string();
      return () => {
        const open = handles.get(handle);
        if (open.kind === 'folder') return freeSpace(id, open.path);
        return freeSpace(id, `/proc/self/fd/${open.fd}`).catch(() => freeSpace(id, open.path));
      };
    },
  },
  'hardlink@openssh.com': {
    version: '1',
    prepare: ({ start }, _id, fields) => {
      const [from, to] = [absolute(start, fields.string()), absolute(start, fields.string())];
      return quietly(() => link(from, to));
    },
  },
  'fsync@openssh.com': {
    version: '1',
    shared: true,
    prepare: ({ handles }, _id, fields) => {
      const handle = fields.string();
      return quietly(async () => calls.fsync(handles.file(handle).fd));
    },
  },
  'lsetstat@openssh.com': {
    version: '1',
    prepare: ({ start }, _id, fields) => {
      const path = absolute(start, fields.string());
      const given = readAttributes(fields);
      return quietly(() => setLinkAttributes(path, given));
    },
  },
  'limits@openssh.com': {
    version: '1',
    shared: true,
    prepare: (_context, id) => async () =>
      packet(
        REPLY.EXTENDED,
        id,
        ...[MAX_PACKET, MAX_DATA, MAX_DATA, MAX_HANDLES].map((limit) => BigInt(limit)),
      ),
  },
  'expand-path@openssh.com': {
    version: '1',
    shared: true,
    prepare: ({ start, home }, id, fields) => {
      const path = fields.string();
      return async () => onePath(id, await canonical(await expand({ start, home }, path)));
    },
  },
  'home-directory': {
    version: '1',
    shared: true,
    prepare: ({ home }, id, fields) => {
      const user = fields.string().toString();
      return async () => {
        const found = user === '' ? home : await homeOf(user);
        if (found === undefined) throw new Failure(STATUS.FAILURE, 'There is no such user.');
        return onePath(id, Buffer.from(found));
      };
    },
  },
  'copy-data': {
    version: '1',
    prepare: ({ handles, stopped }, _id, fields) => {
      const [source, offset, length] = [fields.string(), fields.uint64(), fields.uint64()];
      const [target, at] = [fields.string(), fields.uint64()];
      return quietly(async () => {
        const [from, to] = [handles.file(source), handles.file(target)];
        if (from === to) throw new Failure(STATUS.FAILURE, 'A file cannot be copied into itself.');
        await copyData({ fd: from.fd, offset, length }, { fd: to.fd, offset: at }, stopped);
      });
    },
  },
  'users-groups-by-id@openssh.com': {
    version: '1',
    shared: true,
    prepare: (_context, id, fields) => {
      const [users, groups] = [numbers(fields.string()), numbers(fields.string())];
      return async () => {
        const names = await accountNames();
        return packet(
          REPLY.EXTENDED,
          id,
          encode(users.map((number) => names.users.get(number) ?? '')),
          encode(groups.map((number) => names.groups.get(number) ?? '')),
        );
      };
    },
  },
};

function numbers(bytes: Buffer): number[] {
  if (bytes.length % 4 !== 0 || bytes.length > MAX_IDS * 4) {
    throw new MalformedError('The list of numbers is not valid.');
  }
  return Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readUInt32BE(i * 4));
}
