import { DATA_HEADER, MAX_DATA } from './protocol.ts';

/** Buffers kept for later, of 256 KiB each. */
const MAX_KEPT = 16;
const SIZE = DATA_HEADER + MAX_DATA;

/**
 * Room for DATA replies. Those of full size are used again: to touch 256 KiB
 * of new memory costs more than to read a file into it.
 */
export class ReplyBuffers {
  #kept: Buffer[] = [];

  /** Room for a header and `bytes` of data; what it holds is arbitrary. */
  take(bytes: number): Buffer {
    if (bytes !== MAX_DATA) return Buffer.allocUnsafe(DATA_HEADER + bytes);
    return this.#kept.pop() ?? Buffer.allocUnsafeSlow(SIZE);
  }

  /** Nobody uses `reply` any more. */
  give(reply: Buffer): void {
    if (reply.length === SIZE && this.#kept.length < MAX_KEPT) this.#kept.push(reply);
  }
}
