/**
 * Writes one response after the other to an HTTP/1 client. What comes in one
 * batch leaves in one write, head and body together.
 */
import type { Duplex } from 'node:stream';
import type { OutFraming } from './h1-output.ts';
import { writeTrailers } from './headers.ts';

const JOIN_BYTES = 16 * 1024;
const GATHER_BYTES = 8 * 1024;
const CRLF = Buffer.from('\r\n');
const LAST_CHUNK = Buffer.from('0\r\n');

export class H1ResponseWriter {
  /** A head was given since `reset`; it may not be written yet. */
  headSent = false;
  framing: OutFraming = 'none';
  readonly #socket: Duplex;
  #raw = false;
  #head = '';
  #body: Buffer[] = [];
  #gathering = false;

  constructor(socket: Duplex) {
    this.#socket = socket;
  }

  /** The head still waits for the end of its batch. */
  get headWaits(): boolean {
    return this.#head !== '';
  }

  /** `raw`: the body comes with its chunk framing. */
  begin(head: string, framing: OutFraming, raw: boolean): void {
    this.#head = head;
    this.framing = framing;
    this.#raw = raw;
    this.headSent = true;
  }

  body(chunk: Buffer, raw: boolean): void {
    if (this.framing === 'chunked' && !raw) {
      this.#body.push(Buffer.from(`${chunk.length.toString(16)}\r\n`, 'latin1'), chunk, CRLF);
    } else this.#body.push(chunk);
  }

  /** The batch is still to be flushed. */
  end(trailers: readonly string[]): void {
    if (this.framing !== 'chunked') return;
    if (!this.#raw) this.#body.push(LAST_CHUNK);
    this.#body.push(trailers.length === 0 ? CRLF : Buffer.from(writeTrailers(trailers), 'latin1'));
  }

  /** Forgets a response of which nothing was written. */
  discard(): void {
    this.#head = '';
    this.#body = [];
    this.headSent = false;
  }

  /** False: the client takes no more until `drain`. */
  flush(): boolean {
    const socket = this.#socket;
    const head = this.#head;
    const body = this.#body;
    if (body.length === 0) {
      if (head !== '') {
        this.#head = '';
        socket.write(head, 'latin1');
      }
      return !socket.writableNeedDrain;
    }
    this.#head = '';
    if (body.length === 1 && head === '') {
      const only = body[0] as Buffer;
      body.length = 0;
      if (only.length >= GATHER_BYTES) this.#gather();
      return socket.write(only);
    }
    this.#body = [];
    let bytes = head.length;
    for (const piece of body) bytes += piece.length;
    if (bytes <= JOIN_BYTES) {
      const joined = Buffer.allocUnsafe(bytes);
      let at = head === '' ? 0 : joined.write(head, 0, 'latin1');
      for (const piece of body) {
        joined.set(piece, at);
        at += piece.length;
      }
      return socket.write(joined);
    }
    socket.cork();
    if (head !== '') socket.write(head, 'latin1');
    for (const piece of body) socket.write(piece);
    socket.uncork();
    return !socket.writableNeedDrain;
  }

  /**
   * HTTP/2 hands over a link's bytes in pieces of 16 KiB: what comes in one turn
   * of the event loop leaves in one system call. Small pieces are not held back.
   */
  #gather(): void {
    if (this.#gathering) return;
    this.#gathering = true;
    this.#socket.cork();
    setImmediate(this.#endGathering);
  }

  readonly #endGathering = (): void => {
    this.#gathering = false;
    this.#socket.uncork();
  };
}
