import { COPY_BYTES, REPLAY_SLAB_BYTES } from '../limits.ts';
import { Fifo } from './fifo.ts';
import { replayBudget } from './replay-budget.ts';

const FIRST_SLAB_BYTES = 1024;

/**
 * What one direction has sent and the other side has not acknowledged. Large
 * pieces are kept by reference; small ones are copied, so that a keystroke does
 * not hold on to the 64 KiB that it came in, and into a slab that is used again
 * once it is acknowledged: a busy channel of small messages allocates nothing.
 */
export class ReplayLog {
  readonly #sealed = new Fifo<Buffer>();
  /** The first of the sealed, taken out to be looked at. `#from` is the offset of its first byte. */
  #oldest: Buffer | undefined;
  #from = 0;
  #bytes = 0;
  /** Small pieces behind everything sealed: `#slab[#start, #end)`. */
  #slab: Buffer | undefined;
  #start = 0;
  #end = 0;

  get bytes(): number {
    return this.#bytes;
  }

  /** The piece that follows everything kept so far. */
  push(piece: Buffer): void {
    const { length } = piece;
    this.#bytes += length;
    replayBudget.add(length);
    if (length >= COPY_BYTES) {
      this.#seal();
      this.#sealed.push(piece);
      return;
    }
    let slab = this.#slab;
    if (slab === undefined || this.#end + length > slab.length) slab = this.#nextSlab(length);
    slab.set(piece, this.#end);
    this.#end += length;
  }

  /** Everything below `offset` has been handed on by the other side. */
  acknowledge(offset: number): void {
    let freed = 0;
    for (;;) {
      const oldest = (this.#oldest ??= this.#sealed.shift());
      if (oldest === undefined) break;
      if (this.#from + oldest.length > offset) break;
      this.#from += oldest.length;
      freed += oldest.length;
      this.#oldest = undefined;
    }
    if (this.#oldest === undefined) {
      const small = Math.min(Math.max(0, offset - this.#from), this.#end - this.#start);
      this.#start += small;
      this.#from += small;
      freed += small;
      if (this.#start === this.#end) this.#start = this.#end = 0;
    }
    if (freed === 0) return;
    this.#bytes -= freed;
    replayBudget.add(-freed);
  }

  /** Takes out what follows `offset`, and is empty afterwards; the next byte pushed is that at `offset`. */
  take(offset: number): Buffer[] {
    this.acknowledge(offset);
    const taken: Buffer[] = [];
    const skip = offset - this.#from;
    this.#seal();
    let chunk = this.#oldest ?? this.#sealed.shift();
    if (chunk !== undefined && skip > 0) chunk = chunk.subarray(skip);
    for (; chunk !== undefined; chunk = this.#sealed.shift()) taken.push(chunk);
    this.clear();
    this.#from = offset;
    return taken;
  }

  clear(): void {
    replayBudget.add(-this.#bytes);
    this.#bytes = 0;
    this.#oldest = undefined;
    while (this.#sealed.shift() !== undefined);
    this.#slab = undefined;
    this.#start = this.#end = 0;
  }

  /** What lies in the slab gets its place in the order; the rest of the slab may still be used. */
  #seal(): void {
    if (this.#start === this.#end) return;
    this.#sealed.push(this.#slab!.subarray(this.#start, this.#end));
    this.#start = this.#end;
  }

  #nextSlab(length: number): Buffer {
    this.#seal();
    const size = Math.min(REPLAY_SLAB_BYTES, 2 * (this.#slab?.length ?? FIRST_SLAB_BYTES / 2));
    this.#slab = Buffer.allocUnsafeSlow(Math.max(size, length));
    this.#start = this.#end = 0;
    return this.#slab;
  }
}
