/** The body of one HTTP/1 request after the other: where it ends, and who gets it. */
import { NO_TRAILERS, type Exchange } from './exchange.ts';
import { ChunkedReader } from './h1-chunked.ts';
import type { H1Inlet } from './h1-inlet.ts';
import type { HttpLimits } from './limits.ts';

export class H1RequestBody {
  done = true;
  /** The client has begun to send it. */
  seen = false;
  readonly #limits: HttpLimits;
  readonly #inlet: H1Inlet;
  /** Bytes, or -1 for chunked. */
  #left = 0;
  #length = 0;
  #chunks: ChunkedReader | undefined;
  /** The upstream takes more now. */
  #room = true;
  /** The upstream got the last chunk's line as it came. */
  #raw = false;
  /** What went to the upstream as soon as it was there. */
  #given: Buffer | undefined;
  /** More came than that: the request cannot be sent again. */
  #gaveMore = false;
  #moved = false;
  #deadline = 0;

  constructor(limits: HttpLimits, inlet: H1Inlet) {
    this.#limits = limits;
    this.#inlet = inlet;
  }

  /** `length`: -1 for chunked. */
  start(length: number): void {
    this.#length = length;
    this.#gaveMore = false;
    this.#deadline = 0;
    this.#restart();
  }

  #restart(): void {
    this.#left = this.#length;
    this.done = this.#length === 0;
    this.seen = false;
    this.#raw = false;
    if (this.#length < 0) {
      this.#chunks ??= new ChunkedReader(this.#limits, 400);
      this.#chunks.reset();
    }
  }

  /** What is there of it, to be sent in one piece with the head. Not of chunked. */
  get first(): Buffer | undefined {
    const { held } = this.#inlet;
    return held !== undefined && this.#length > 0
      ? held.subarray(0, Math.min(this.#length, held.length))
      : undefined;
  }

  gaveFirst(bytes: Buffer): void {
    this.#inlet.drop(bytes.length);
    this.seen = true;
    this.#given = bytes;
    this.#left -= bytes.length;
    this.done = this.#left === 0;
  }

  /**
   * Passes on what belongs to it: of `more`, which has just come, or (undefined) of what was
   * there with the head. Nobody takes it: `exchange` is undefined. Throws HeadError.
   */
  give(more: Buffer | undefined, exchange: Exchange | undefined): void {
    const chunk = more ?? this.#inlet.take();
    if (chunk === undefined) return;
    this.#gaveMore ||= more !== undefined;
    const taken = this.#feed(chunk, exchange);
    if (more === undefined) this.#given = chunk.subarray(0, taken);
    if (taken < chunk.length) this.#inlet.putBack(chunk.subarray(taken));
    if (!this.done && !this.#room) this.#inlet.pause();
  }

  end(exchange: Exchange): void {
    const trailers = this.#left < 0 ? (this.#chunks as ChunkedReader).trailers : NO_TRAILERS;
    exchange.endBody(trailers, this.#raw);
  }

  forget(): void {
    this.#given = undefined;
  }

  /** Takes back what was given, to begin anew. False: some of it is gone. */
  rewind(): boolean {
    if (this.#gaveMore) return false;
    const given = this.#given;
    this.#given = undefined;
    this.#restart();
    if (given !== undefined) this.#inlet.putBack(given);
    return true;
  }

  /** Returns how many bytes were body. */
  #feed(buffer: Buffer, exchange: Exchange | undefined): number {
    this.seen = this.#moved = true;
    this.#room = true;
    if (this.#left >= 0) {
      const take = Math.min(this.#left, buffer.length);
      if (exchange !== undefined) {
        this.#room = exchange.writeBody(
          take === buffer.length ? buffer : buffer.subarray(0, take),
          false,
        );
      }
      this.#left -= take;
      this.done = this.#left === 0;
      return take;
    }
    const chunks = this.#chunks as ChunkedReader;
    const raw = (this.#raw = exchange?.rawChunks === true);
    let position = 0;
    while (position < buffer.length && !chunks.inTrailers) {
      position = chunks.next(buffer, position);
      if (!raw && exchange !== undefined && chunks.dataEnd > chunks.dataStart) {
        this.#room = exchange.writeBody(buffer.subarray(chunks.dataStart, chunks.dataEnd), false);
      }
    }
    if (raw && position > 0) {
      this.#room = (exchange as Exchange).writeBody(buffer.subarray(0, position), true);
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
