import { MAX_DATA_BYTES } from '../limits.ts';
import type { Batch } from '../wire/encode.ts';
import { Fifo } from './fifo.ts';

/** Chunks of one direction that wait to be sent, in order, and the Fin behind them. */
export class SendQueue {
  readonly #chunks = new Fifo<Buffer>();
  /** The rest of a chunk that was sent in part. */
  #first: Buffer | undefined;
  #bytes = 0;
  #fin: 'none' | 'queued' | 'sent' = 'none';

  get bytes(): number {
    return this.#bytes;
  }

  get finQueued(): boolean {
    return this.#fin !== 'none';
  }

  get finSent(): boolean {
    return this.#fin === 'sent';
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

  clear(): void {
    while (this.#chunks.shift() !== undefined);
    this.#first = undefined;
    this.#bytes = 0;
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
        if (chunk.length <= left) {
          this.#first = undefined;
          batch.more(chunk);
          left -= chunk.length;
        } else {
          this.#first = chunk.subarray(left);
          batch.more(chunk.subarray(0, left));
          left = 0;
        }
      }
    }
    if (this.#bytes === 0 && this.#fin === 'queued') {
      this.#fin = 'sent';
      batch.control({ case: 'fin', value: { channel, offset: BigInt(offset + sent) } });
    }
    return sent;
  }
}
