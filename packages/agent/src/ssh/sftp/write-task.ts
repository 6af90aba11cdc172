import { write } from './calls.ts';
import { position } from './files.ts';
import type { Handles } from './handles.ts';
import type { Packet } from './packets.ts';
import { MalformedError, type Fields } from './protocol.ts';
import type { Task } from './schedule.ts';

/** Bytes and pieces that one write takes at most; the system allows 1,024 pieces. */
const MAX_BYTES = 2 * 1024 * 1024;
const MAX_PIECES = 512;

export type Reply = (id: number, error: unknown) => void;

/** One WRITE, or several whose places in a file follow each other. */
export class WriteTask implements Task {
  readonly shared = false;
  readonly reply = 0;
  readonly size: number;
  readonly #handles: Handles;
  readonly #reply: Reply;
  readonly #handle: Buffer;
  readonly #offset: bigint;
  #ids: number[];
  #data: Buffer[];
  #bytes: number;

  /** Throws MalformedError. `reply` is called once for each request, with undefined for OK. */
  constructor(packet: Packet, id: number, fields: Fields, handles: Handles, reply: Reply) {
    this.size = packet.size;
    this.#handles = handles;
    this.#reply = reply;
    this.#ids = [id];
    this.#handle = fields.string();
    this.#offset = fields.uint64();
    this.#bytes = fields.uint32();
    const first = fields.rest();
    this.#data = [first, ...packet.rest];
    let bytes = 0;
    for (const piece of this.#data) bytes += piece.length;
    if (bytes !== this.#bytes) throw new MalformedError('The data of a WRITE are not complete.');
  }

  join(next: Task): boolean {
    if (
      !(next instanceof WriteTask) ||
      next.#offset !== this.#offset + BigInt(this.#bytes) ||
      this.#bytes + next.#bytes > MAX_BYTES ||
      this.#data.length + next.#data.length > MAX_PIECES ||
      !next.#handle.equals(this.#handle)
    ) {
      return false;
    }
    this.#ids.push(...next.#ids);
    this.#data.push(...next.#data);
    this.#bytes += next.#bytes;
    return true;
  }

  async run(): Promise<void> {
    let fault: unknown;
    try {
      const { fd } = this.#handles.file(this.#handle);
      if (this.#bytes > 0) await write(fd, this.#data, position(this.#offset));
    } catch (error) {
      fault = error;
    }
    this.#data = [];
    for (const id of this.#ids) this.#reply(id, fault);
  }
}
