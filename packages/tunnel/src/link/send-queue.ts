import { MAX_DATA_BYTES } from '../limits.ts';
import type { Batch } from '../wire/encode.ts';
import { Fifo } from './fifo.ts';
import { ReplayLog } from './replay-log.ts';

/**
 * Chunks of one direction that wait to be sent, in order, and the Fin behind
 * them. After `keep`, what was sent stays until it is acknowledged, and can be
 * sent again.
 */
export class SendQueue {
  #chunks = new Fifo<Buffer>();
  /** The rest of a chunk that was sent in part. */
  #first: Buffer | undefined;
  #bytes = 0;
  #fin: 'none' | 'queued' | 'sent' = 'none';
  /** Offset of a Fin that was sent. */
  #finOffset = Infinity;
  /** Sent, not acknowledged. Undefined: nothing is kept. */
  #log: ReplayLog | undefined;

  get bytes(): number {
    return this.#bytes;
  }

  get finQueued(): boolean {
    return this.#fin !== 'none';
  }

  get finSent(): boolean {
    return this.#fin === 'sent';
  }

  /** The offset that acknowledges everything, Fin included. Infinity until Fin was sent. */
  get endOffset(): number {
    return this.#finOffset + 1;
  }

  /** From now on what is sent is kept. Before anything was sent. */
  keep(): void {
    this.#log ??= new ReplayLog();
  }

  /** Whether something may leave when `room` bytes of credit are there. */
  sendable(room: number): boolean {
    return this.#bytes > 0 ? room > 0 : this.#fin === 'queued';
  }

  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
  }

  end(): void {
    if (this.#fin === 'none') this.#fin = 'queued';
  }

  /** The Fin behind everything was sent on an earlier attachment, and arrived: `end` counts it. */
  endedAt(end: number): void {
    this.#fin = 'sent';
    this.#finOffset = end - 1;
  }

  clear(): void {
    this.#chunks = new Fifo();
    this.#first = undefined;
    this.#bytes = 0;
    this.#log?.clear();
  }

  /** Encodes up to `max` bytes as Data from `offset` on, and the Fin if it is its turn. Returns the payload bytes. */
  emit(batch: Batch, channel: number, offset: number, max: number): number {
    let sent = 0;
    while (this.#bytes > 0 && sent < max) {
      let left = Math.min(this.#bytes, max - sent, MAX_DATA_BYTES);
      batch.begin(channel, offset + sent, left);
      this.#bytes -= left;
      sent += left;
      while (left > 0) {
        const chunk = this.#first ?? this.#chunks.shift()!;
        const piece = chunk.length <= left ? chunk : chunk.subarray(0, left);
        this.#first = piece === chunk ? undefined : chunk.subarray(left);
        left -= piece.length;
        batch.more(piece);
        this.#log?.push(piece);
      }
    }
    if (this.#bytes === 0 && this.#fin === 'queued') {
      this.#fin = 'sent';
      this.#finOffset = offset + sent;
      batch.control({ case: 'fin', value: { channel, offset: BigInt(offset + sent) } });
    }
    return sent;
  }

  /** The other side has handed on everything below `offset`. */
  acknowledge(offset: number): void {
    this.#log?.acknowledge(offset);
  }

  /** What follows `offset` is to be sent again; everything below has arrived. Only after `keep`. */
  rewind(offset: number): void {
    const again = new Fifo<Buffer>();
    for (const chunk of this.#log?.take(offset) ?? []) {
      again.push(chunk);
      this.#bytes += chunk.length;
    }
    if (this.#first !== undefined) again.push(this.#first);
    this.#first = undefined;
    for (let chunk = this.#chunks.shift(); chunk !== undefined; chunk = this.#chunks.shift()) {
      again.push(chunk);
    }
    this.#chunks = again;
    if (this.#fin === 'sent' && offset <= this.#finOffset) {
      this.#fin = 'queued';
      this.#finOffset = Infinity;
    }
  }
}
