import type { ServerHttp2Stream } from 'node:http2';
import { NO_TRAILERS, type Exchange } from './exchange.ts';
import type { HttpLimits } from './limits.ts';

export interface BodyEvents {
  /** False: stop until the stream is resumed. */
  onBodyChunk(chunk: Buffer): boolean;
  onBodyEnd(): void;
}

/** What a client sends on its HTTP/2 stream behind the head. */
export class H2RequestBody {
  /** The client has ended its half. */
  done: boolean;
  /** It had something to say behind its head. */
  readonly present: boolean;
  readonly #stream: ServerHttp2Stream;
  readonly #limits: HttpLimits;
  #piped = false;
  /** The body so far, while it is small and no answer has come; undefined: some of it is gone. */
  #given: Buffer[] | undefined = [];
  #givenBytes = 0;
  /** Bytes of it came since the last look. */
  #moved = false;
  #deadline = 0;
  #trailers: readonly string[] = NO_TRAILERS;

  constructor(stream: ServerHttp2Stream, limits: HttpLimits) {
    this.#stream = stream;
    this.#limits = limits;
    this.done = stream.endAfterHeaders;
    this.present = !this.done;
  }

  /** It is being read. */
  get piped(): boolean {
    return this.#piped;
  }

  /** All that was read can be given once more. */
  get repeatable(): boolean {
    return this.#given !== undefined;
  }

  get trailers(): readonly string[] {
    return this.#trailers;
  }

  pipe(events: BodyEvents): void {
    if (this.#piped) return;
    this.#piped = true;
    const stream = this.#stream;
    if (this.done) {
      stream.resume();
      return;
    }
    stream.on('trailers', (headers, _flags, raw?: string[]) => {
      this.#trailers =
        raw ?? Object.entries(headers).flatMap(([name, value]) => [name, String(value)]);
    });
    stream.on('data', (chunk: Buffer) => {
      this.#moved = true;
      if (!events.onBodyChunk(chunk)) stream.pause();
    });
    stream.on('end', () => {
      if (stream.aborted) return;
      this.done = true;
      events.onBodyEnd();
    });
  }

  /** For a second try, should the first one reach nobody. `answered`: there will be none. */
  remember(chunk: Buffer, answered: boolean): void {
    if (this.#given === undefined) return;
    this.#givenBytes += chunk.length;
    if (answered || this.#givenBytes > this.#limits.heldBytes) this.#given = undefined;
    else this.#given.push(chunk);
  }

  giveAgain(exchange: Exchange): void {
    for (const chunk of this.#given ?? []) exchange.writeBody(chunk, false);
    if (this.done && this.present) exchange.endBody(this.#trailers, false);
    this.#stream.resume();
  }

  /** Called about every second: whether nothing came for too long. `excused`: nothing needs to come now. */
  overdue(now: number, excused: boolean): boolean {
    if (this.#moved || excused || this.#deadline === 0) {
      this.#moved = false;
      this.#deadline = now + this.#limits.bodyIdleMs;
      return false;
    }
    return now >= this.#deadline;
  }
}
