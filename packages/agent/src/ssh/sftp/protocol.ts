/** Version 3 of the SFTP protocol (draft-ietf-secsh-filexfer-02), as OpenSSH speaks it. */
export const REQUEST = {
  INIT: 1,
  OPEN: 3,
  CLOSE: 4,
  READ: 5,
  WRITE: 6,
  LSTAT: 7,
  FSTAT: 8,
  SETSTAT: 9,
  FSETSTAT: 10,
  OPENDIR: 11,
  READDIR: 12,
  REMOVE: 13,
  MKDIR: 14,
  RMDIR: 15,
  REALPATH: 16,
  STAT: 17,
  RENAME: 18,
  READLINK: 19,
  SYMLINK: 20,
  EXTENDED: 200,
} as const;

export const REPLY = {
  VERSION: 2,
  STATUS: 101,
  HANDLE: 102,
  DATA: 103,
  NAME: 104,
  ATTRS: 105,
  EXTENDED: 201,
} as const;

export const STATUS = {
  OK: 0,
  EOF: 1,
  NO_SUCH_FILE: 2,
  PERMISSION_DENIED: 3,
  FAILURE: 4,
  BAD_MESSAGE: 5,
  OP_UNSUPPORTED: 8,
} as const;

/** Bytes of one packet after its length, as OpenSSH has it. */
export const MAX_PACKET = 256 * 1024;
/** Bytes of one READ or WRITE: a packet less a kibibyte for all the rest. */
export const MAX_DATA = MAX_PACKET - 1024;
/** Bytes before the data in a DATA reply: length, type, id, length of the data. */
export const DATA_HEADER = 13;

/** What the client sent cannot be read. */
export class MalformedError extends Error {}

/** Reads the fields of one packet, from the first after its type. */
export class Fields {
  readonly #bytes: Buffer;
  #at = 1;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** Bytes not read yet. */
  get left(): number {
    return this.#bytes.length - this.#at;
  }

  uint32(): number {
    return this.#bytes.readUInt32BE(this.#skip(4));
  }

  uint64(): bigint {
    return this.#bytes.readBigUInt64BE(this.#skip(8));
  }

  string(): Buffer {
    const length = this.uint32();
    const start = this.#skip(length);
    return this.#bytes.subarray(start, start + length);
  }

  rest(): Buffer {
    return this.#bytes.subarray(this.#at);
  }

  #skip(bytes: number): number {
    const start = this.#at;
    if (bytes > this.left) throw new MalformedError('The packet is too short.');
    this.#at += bytes;
    return start;
  }
}

/** A field of a reply: a number is a uint32, a bigint a uint64, text and bytes a string; `raw` goes as it is. */
export type Field = number | bigint | string | Buffer | { readonly raw: Buffer };

function sizeOf(field: Field): number {
  if (typeof field === 'number') return 4;
  if (typeof field === 'bigint') return 8;
  if (typeof field === 'string') return 4 + Buffer.byteLength(field);
  return 'raw' in field ? field.raw.length : 4 + field.length;
}

/** Fields one after the other, after `before` bytes of room. */
export function encode(fields: readonly Field[], before = 0): Buffer {
  let size = before;
  for (const field of fields) size += sizeOf(field);
  const bytes = Buffer.allocUnsafe(size);
  let at = before;
  for (const field of fields) {
    if (typeof field === 'number') at = bytes.writeUInt32BE(field, at);
    else if (typeof field === 'bigint') at = bytes.writeBigUInt64BE(BigInt.asUintN(64, field), at);
    else if (typeof field === 'string') {
      const length = bytes.write(field, at + 4);
      bytes.writeUInt32BE(length, at);
      at += 4 + length;
    } else if ('raw' in field) at += field.raw.copy(bytes, at);
    else {
      bytes.writeUInt32BE(field.length, at);
      at += 4 + field.copy(bytes, at + 4);
    }
  }
  return bytes;
}

/** A whole packet: length, type and fields. */
export function packet(type: number, ...fields: readonly Field[]): Buffer {
  const bytes = encode(fields, 5);
  bytes.writeUInt32BE(bytes.length - 4, 0);
  bytes[4] = type;
  return bytes;
}

/** A STATUS reply with a sentence for people. */
export function status(id: number, code: number, sentence: string): Buffer {
  return packet(REPLY.STATUS, id, code, sentence, 'en');
}

/** Room for a DATA reply: read into it after `DATA_HEADER`, then `finishData`. */
export function finishData(reply: Buffer, id: number, bytes: number): Buffer {
  reply.writeUInt32BE(DATA_HEADER - 4 + bytes, 0);
  reply[4] = REPLY.DATA;
  reply.writeUInt32BE(id, 5);
  reply.writeUInt32BE(bytes, 9);
  return reply.length === DATA_HEADER + bytes ? reply : reply.subarray(0, DATA_HEADER + bytes);
}
