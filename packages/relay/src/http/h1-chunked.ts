/**
 * Chunked transfer coding (RFC 9112 section 7.1), checked byte by byte. The
 * framing may be passed on untouched (`raw`), because only one reading of it is
 * ever accepted: hexadecimal size, bounded visible extension, CRLF.
 */
import { hexValue, isFieldByte } from './characters.ts';
import { HeadError, findHeadEnd, parseFields } from './h1-head.ts';
import type { HttpLimits } from './limits.ts';

const SIZE_FIRST = 0;
const SIZE = 1;
const EXTENSION = 2;
const SIZE_LF = 3;
const DATA = 4;
const DATA_CR = 5;
const DATA_LF = 6;
const TRAILERS = 7;
const DONE = 8;

const MAX_CHUNK = Number.MAX_SAFE_INTEGER / 16;
const NOTHING: readonly string[] = Object.freeze([]);

export class ChunkedReader {
  /** Set by `next`: the data bytes it stopped behind, in the buffer given. */
  dataStart = 0;
  dataEnd = 0;
  /** Trailer fields as raw pairs, once `done`. */
  trailers: readonly string[] = NOTHING;

  readonly #limits: HttpLimits;
  readonly #status: number;
  #state = SIZE_FIRST;
  #size = 0;
  #extension = 0;
  #trailer: Buffer | undefined;

  /** `status` goes into HeadError: 400 for requests, 502 for responses. */
  constructor(limits: HttpLimits, status: number) {
    this.#limits = limits;
    this.#status = status;
  }

  /** For the next message. */
  reset(): void {
    this.#state = SIZE_FIRST;
    this.#size = this.#extension = 0;
    this.#trailer = undefined;
    this.trailers = NOTHING;
  }

  get done(): boolean {
    return this.#state === DONE;
  }

  /** The last chunk's line is complete: what follows are trailers. */
  get inTrailers(): boolean {
    return this.#state >= TRAILERS;
  }

  /**
   * Reads from `position` up to and with the next piece of data, or the end of
   * the last chunk's line, or the end of the buffer. Returns the position after.
   * No data: `dataStart === dataEnd`.
   */
  next(buffer: Buffer, position: number): number {
    this.dataStart = this.dataEnd = position;
    const length = buffer.length;
    let i = position;
    while (i < length) {
      const byte = buffer[i] as number;
      switch (this.#state) {
        case SIZE_FIRST:
        case SIZE: {
          const digit = hexValue(byte);
          if (digit >= 0) {
            if (this.#size > MAX_CHUNK) throw this.#error('A chunk is too large.');
            this.#size = this.#size * 16 + digit;
            if (this.#state === SIZE) {
              // Leading zeros are legal, but endless ones are an attack.
              if (++this.#extension > 16) throw this.#error('A chunk size has too many digits.');
            }
            this.#state = SIZE;
          } else if (this.#state === SIZE && byte === 0x3b) {
            this.#extension = 0;
            this.#state = EXTENSION;
          } else if (this.#state === SIZE && byte === 0x0d) {
            this.#state = SIZE_LF;
          } else {
            throw this.#error('A chunk size is not a hexadecimal number.');
          }
          i++;
          break;
        }
        case EXTENSION:
          if (byte === 0x0d) this.#state = SIZE_LF;
          else if (!isFieldByte(byte)) throw this.#error('A chunk extension holds a control byte.');
          else if (++this.#extension > this.#limits.chunkExtensionBytes) {
            throw this.#error('A chunk extension is too long.');
          }
          i++;
          break;
        case SIZE_LF:
          if (byte !== 0x0a) throw this.#error('A chunk size line does not end in CRLF.');
          this.#extension = 0;
          i++;
          if (this.#size === 0) {
            this.#state = TRAILERS;
            return i;
          }
          this.#state = DATA;
          break;
        case DATA: {
          const take = Math.min(this.#size, length - i);
          this.#size -= take;
          this.dataStart = i;
          this.dataEnd = i += take;
          if (this.#size === 0) this.#state = DATA_CR;
          return i;
        }
        case DATA_CR:
          if (byte !== 0x0d) throw this.#error('A chunk does not end in CRLF.');
          this.#state = DATA_LF;
          i++;
          break;
        case DATA_LF:
          if (byte !== 0x0a) throw this.#error('A chunk does not end in CRLF.');
          this.#state = SIZE_FIRST;
          i++;
          break;
        default:
          return i;
      }
    }
    return i;
  }

  /** Call while `inTrailers` and not `done`. Returns the position after what it took. */
  readTrailers(buffer: Buffer, position: number): number {
    if (position >= buffer.length) return position;
    const before = this.#trailer?.length ?? 0;
    const all =
      this.#trailer === undefined
        ? buffer.subarray(position)
        : Buffer.concat([this.#trailer, buffer.subarray(position)]);
    const end = this.#trailerEnd(all);
    if ((end === -1 ? all.length : end) > this.#limits.trailerBytes) {
      throw this.#error('The trailers are too long.');
    }
    if (end === -1) {
      this.#trailer = Buffer.from(all);
      return buffer.length;
    }
    if (end > 2) {
      this.trailers = parseFields(all.toString('latin1', 0, end - 2), this.#status, this.#limits);
    }
    this.#trailer = undefined;
    this.#state = DONE;
    return position + end - before;
  }

  #trailerEnd(all: Buffer): number {
    try {
      return findHeadEnd(all, 0, 0);
    } catch (error) {
      throw this.#error(error instanceof HeadError ? error.message : 'The trailers are malformed.');
    }
  }

  #error(message: string): HeadError {
    return new HeadError(this.#status, message);
  }
}
