import { mkdir, readlink, rmdir, symlink, unlink } from 'node:fs/promises';
import { attributesOf, readAttributes } from './attributes.ts';
import * as calls from './calls.ts';
import { EXTENSIONS, type ExtensionContext } from './extensions.ts';
import { Failure } from './failures.ts';
import { openFile, opensOnly, readFile, renameNew, setAttributes } from './files.ts';
import { onePath, openFolder, readFolder } from './folders.ts';
import { absolute, canonical } from './paths.ts';
import { MAX_DATA, packet, REPLY, REQUEST, STATUS, type Fields } from './protocol.ts';
import type { ReplyBuffers } from './reply-buffers.ts';

/** What a request comes to: a reply, or nothing for OK. */
export interface Work {
  /** Changes nothing. */
  readonly shared: boolean;
  /** Bytes its reply may take, when these are many. */
  readonly reply?: number;
  run(): Promise<Buffer | undefined>;
}

export interface RequestContext extends ExtensionContext {
  readonly buffers: ReplyBuffers;
}

type Prepare = (context: RequestContext, id: number, fields: Fields) => Work;

const shared = (run: Work['run'], reply = 0): Work => ({ shared: true, reply, run });
const alone = (work: () => Promise<unknown>): Work => ({
  shared: false,
  run: async () => {
    await work();
    return undefined;
  },
});

/**
 * All requests but WRITE. The fields are read at once; handles are looked up
 * when it is the request's turn.
 */
const REQUESTS: Readonly<Record<number, Prepare>> = {
  [REQUEST.OPEN]: ({ start, handles }, id, fields) => {
    const path = absolute(start, fields.string());
    const flags = fields.uint32();
    const given = readAttributes(fields);
    return {
      shared: opensOnly(flags),
      run: async () =>
        packet(REPLY.HANDLE, id, await handles.add(() => openFile(path, flags, given))),
    };
  },
  [REQUEST.CLOSE]: ({ handles }, _id, fields) => {
    const handle = fields.string();
    return alone(() => handles.close(handle));
  },
  [REQUEST.READ]: ({ handles, buffers }, id, fields) => {
    const [handle, offset, length] = [fields.string(), fields.uint64(), fields.uint32()];
    return shared(
      async () => readFile(buffers, id, handles.file(handle).fd, offset, length),
      Math.min(length, MAX_DATA),
    );
  },
  [REQUEST.LSTAT]: ({ start }, id, fields) => {
    const path = absolute(start, fields.string());
    return shared(async () => packet(REPLY.ATTRS, id, attributesOf(await calls.lstat(path))));
  },
  [REQUEST.STAT]: ({ start }, id, fields) => {
    const path = absolute(start, fields.string());
    return shared(async () => packet(REPLY.ATTRS, id, attributesOf(await calls.stat(path))));
  },
  [REQUEST.FSTAT]: ({ handles }, id, fields) => {
    const handle = fields.string();
    return shared(async () => {
      const open = handles.get(handle);
      const stats = open.kind === 'file' ? calls.fstat(open.fd) : calls.stat(open.path);
      return packet(REPLY.ATTRS, id, attributesOf(await stats));
    });
  },
  [REQUEST.SETSTAT]: ({ start }, _id, fields) => {
    const path = absolute(start, fields.string());
    const given = readAttributes(fields);
    return alone(() => setAttributes(path, given));
  },
  [REQUEST.FSETSTAT]: ({ handles }, _id, fields) => {
    const handle = fields.string();
    const given = readAttributes(fields);
    return alone(async () => {
      const open = handles.get(handle);
      await setAttributes(open.kind === 'file' ? open.fd : open.path, given);
    });
  },
  [REQUEST.OPENDIR]: ({ start, handles }, id, fields) => {
    const path = absolute(start, fields.string());
    return shared(async () => packet(REPLY.HANDLE, id, await handles.add(() => openFolder(path))));
  },
  [REQUEST.READDIR]: ({ handles }, id, fields) => {
    const handle = fields.string();
    return shared(async () => readFolder(id, handles.folder(handle)));
  },
  [REQUEST.REMOVE]: ({ start }, _id, fields) => {
    const path = absolute(start, fields.string());
    return alone(() => unlink(path));
  },
  [REQUEST.MKDIR]: ({ start }, _id, fields) => {
    const path = absolute(start, fields.string());
    const { mode = 0o777 } = readAttributes(fields);
    return alone(() => mkdir(path, mode));
  },
  [REQUEST.RMDIR]: ({ start }, _id, fields) => {
    const path = absolute(start, fields.string());
    return alone(() => rmdir(path));
  },
  [REQUEST.REALPATH]: ({ start }, id, fields) => {
    const path = absolute(start, fields.string());
    return shared(async () => onePath(id, await canonical(path)));
  },
  [REQUEST.RENAME]: ({ start }, _id, fields) => {
    const [from, to] = [absolute(start, fields.string()), absolute(start, fields.string())];
    return alone(() => renameNew(from, to));
  },
  [REQUEST.READLINK]: ({ start }, id, fields) => {
    const path = absolute(start, fields.string());
    return shared(async () => onePath(id, await readlink(path, { encoding: 'buffer' })));
  },
  // OpenSSH took the two paths the wrong way round, and everybody followed: the target comes first.
  [REQUEST.SYMLINK]: ({ start }, _id, fields) => {
    const target = fields.string();
    const path = absolute(start, fields.string());
    return alone(() => symlink(target, path));
  },
  [REQUEST.EXTENDED]: (context, id, fields) => {
    const name = fields.string().toString();
    const extension = Object.hasOwn(EXTENSIONS, name) ? EXTENSIONS[name] : undefined;
    if (extension === undefined) throw unsupported();
    return { shared: extension.shared === true, run: extension.prepare(context, id, fields) };
  },
};

function unsupported(): Failure {
  return new Failure(STATUS.OP_UNSUPPORTED, 'This server does not know this request.');
}

/** Reads a request other than INIT and WRITE. Throws what is to be replied. */
export function prepare(context: RequestContext, type: number, id: number, fields: Fields): Work {
  const request = REQUESTS[type];
  if (request === undefined) throw unsupported();
  return request(context, id, fields);
}
