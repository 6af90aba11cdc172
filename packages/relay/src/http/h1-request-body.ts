/** The body of one HTTP/1 request after the other: where it ends, and who gets it. */
import { NO_TRAILERS, type Exchange } from './exchange.ts';
import { ChunkedReader } from './h1-chunked.ts';
import type { HttpLimits } from './limits.ts';

export class H1RequestBody {
  done = true;
  /** The client has begun to send it. */
  seen = false;
  /** After `feed`: the upstream takes more now. */
  room = true;
  /** The upstream got the last chunk's line as it came. */
  raw = false;
  /** More came than what was there with the head: the request cannot be sent again. */
  gaveMore = false;
  readonly #limits: HttpLimits;
  /** Bytes, or -1 for chunked. */
  #left = 0;
  #length = 0;
  #chunks: ChunkedReader | undefined;
  #given: Buffer | undefined;
  #moved = false;
  #deadline = 0;

  constructor(limits: HttpLimits) {
    this.#limits = limits;
  }

  get trailers(): readonly string[] {
    return this.#left < 0 ? (this.#chunks as ChunkedReader).trailers : NO_TRAILERS;
  }

  /** `length`: -1 for chunked. */
  start(length: number): void {
    this.#length = length;
    this.gaveMore = false;
    this.#deadline = 0;
    this.#restart();
  }

  #restart(): void {
    this.#left = this.#length;
    this.done = this.#length === 0;
    this.seen = false;
    this.raw = false;
    if (this.#length < 0) {
      this.#chunks ??= new ChunkedReader(this.#limits, 400);
      this.#chunks.reset();
    }
  }

  /** These first bytes went together with the head. Not for chunked. */
  gaveFirst(bytes: Buffer): void {
    this.seen = true;
    this.#given = bytes;
    this.#left -= bytes.length;
    this.done = this.#left === 0;
  }

  /** What came with the head was fed. */
  remember(bytes: Buffer): void {
    this.#given = bytes;
  }

  forget(): void {
    this.#given = undefined;
  }

  /** Begins anew; returns what had come of it. */
  rewind(): Buffer | undefined {
    const given = this.#given;
    this.#given = undefined;
    this.#restart();
    return given;
  }

  /**
   * Passes body bytes on (or throws them away when nobody takes them). Returns how
   * many were body. Throws HeadError.
   */
  feed(buffer: Buffer, exchange: Exchange | undefined): number {
    this.seen = this.#moved = true;
    this.room = true;
    if (this.#left >= 0) {
      const take = Math.min(this.#left, buffer.length);
      if (exchange !== undefined) {
        this.room = exchange.writeBody(
          take === buffer.length ? buffer : buffer.subarray(0, take),
          false,
        );
      }
      this.#left -= take;
      this.done = this.#left === 0;
      return take;
    }
    const chunks = this.#chunks as ChunkedReader;
    const raw = (this.raw = exchange?.rawChunks === true);
    let position = 0;
    while (position < buffer.length && !chunks.inTrailers) {
      position = chunks.next(buffer, position);
      if (!raw && exchange !== undefined && chunks.dataEnd > chunks.dataStart) {
        this.room = exchange.writeBody(buffer.subarray(chunks.dataStart, chunks.dataEnd), false);
      }
    }
    if (raw && position > 0) {
      this.room = (exchange as Exchange).writeBody(buffer.subarray(0, position), true);
    }
    if (chunks.inTrailers) {
      position = chunks.readTrailers(buffer, position);
      this.done = chunks.done;
    }
    return position;
  }

  /**
   * Called at every tick, not with each piece: no clock is read for bytes that
   * flow. `excused`: the silence is not the client's fault. True: it took too long.
   */
  overdue(now: number, excused: boolean): boolean {
    if (this.#moved || excused || this.#deadline === 0) {
      this.#moved = false;
      this.#deadline = now + this.#limits.bodyIdleMs;
      return false;
    }
    return now >= this.#deadline;
  }
}
