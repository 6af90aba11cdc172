import { MalformedError, MAX_PACKET, REQUEST } from './protocol.ts';

/** One packet: `head` starts with its type. The data of a WRITE may go on in `rest`, so that it is not copied. */
export interface Packet {
  readonly head: Buffer;
  readonly rest: readonly Buffer[];
  /** Bytes in all. */
  readonly size: number;
}

const NONE: readonly Buffer[] = [];
/** A WRITE's fields before its data are 25 bytes with handles of ours. */
const WRITE_HEAD = 64;

/** Cuts a stream of bytes into packets. Throws MalformedError for one that no client of ours may send. */
export class PacketCutter {
  #parts: Buffer[] = [];
  /** Bytes in `#parts`. */
  #held = 0;
  /** Bytes of the packet that is being gathered; undefined before its length is known. */
  #size: number | undefined;

  *cut(chunk: Buffer): Generator<Packet> {
    let left = chunk;
    while (left.length > 0) {
      if (this.#size === undefined) {
        left = this.#readSize(left);
        continue;
      }
      const missing = this.#size - this.#held;
      if (this.#held === 0 && left.length >= missing) {
        // The usual case: it lies whole in one chunk.
        yield { head: left.subarray(0, missing), rest: NONE, size: missing };
        left = left.subarray(missing);
        this.#size = undefined;
        continue;
      }
      const part = left.subarray(0, missing);
      this.#parts.push(part);
      this.#held += part.length;
      left = left.subarray(part.length);
      if (this.#held === this.#size) yield this.#take();
    }
  }

  #readSize(left: Buffer): Buffer {
    const missing = 4 - this.#held;
    const part = left.subarray(0, missing);
    this.#parts.push(part);
    this.#held += part.length;
    if (this.#held === 4) {
      const size = Buffer.concat(this.#parts).readUInt32BE(0);
      if (size === 0 || size > MAX_PACKET) {
        throw new MalformedError(`A packet of ${size} bytes; at most ${MAX_PACKET} are allowed.`);
      }
      this.#size = size;
      this.#parts = [];
      this.#held = 0;
    }
    return left.subarray(part.length);
  }

  #take(): Packet {
    const parts = this.#parts;
    const size = this.#held;
    this.#parts = [];
    this.#held = 0;
    this.#size = undefined;
    if (parts[0]?.[0] !== REQUEST.WRITE) return { head: Buffer.concat(parts), rest: NONE, size };
    let count = 0;
    for (let bytes = 0; bytes < WRITE_HEAD && count < parts.length; count++) {
      bytes += parts[count]?.length ?? 0;
    }
    const first = parts.slice(0, count);
    const head = count === 1 && first[0] !== undefined ? first[0] : Buffer.concat(first);
    return { head, rest: parts.slice(count), size };
  }
}
