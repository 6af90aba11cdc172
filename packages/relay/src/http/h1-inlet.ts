/**
 * What an HTTP/1 client sends, as far as nobody has taken it yet, and whether more of it is read.
 * Beside the socket's own buffer it is the only place where bytes wait.
 */
import type { Duplex } from 'node:stream';

export class H1Inlet {
  /** Later requests, or a body whose upstream is not there yet. */
  held: Buffer | undefined;
  /** The client has ended its half. */
  ended = false;
  readonly #socket: Duplex;
  /** Bytes. */
  readonly #limit: number;
  #paused = false;

  constructor(socket: Duplex, limit: number) {
    this.#socket = socket;
    this.#limit = limit;
  }

  /** We do not read: the client's silence is not its fault. */
  get paused(): boolean {
    return this.#paused;
  }

  get full(): boolean {
    return this.held !== undefined && this.held.length > this.#limit;
  }

  add(chunk: Buffer): void {
    this.held = this.held === undefined ? chunk : Buffer.concat([this.held, chunk]);
  }

  /** Adds it while something else is under way, and reads no more than it may hold. */
  hold(chunk: Buffer): void {
    this.add(chunk);
    if (this.full) this.pause();
  }

  /** Bytes that came before what is held. */
  putBack(chunk: Buffer): void {
    this.held = this.held === undefined ? chunk : Buffer.concat([chunk, this.held]);
  }

  /** All that is held. */
  take(): Buffer | undefined {
    const { held } = this;
    this.held = undefined;
    return held;
  }

  /** The first bytes were taken: no more than are held. */
  drop(bytes: number): void {
    const { held } = this;
    if (held !== undefined) this.held = bytes === held.length ? undefined : held.subarray(bytes);
  }

  pause(): void {
    this.#paused = true;
    this.#socket.pause();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#socket.resume();
  }

  /** Nobody wants what is held; reading goes on. */
  discard(): void {
    this.held = undefined;
    this.#paused = false;
    this.#socket.resume();
  }
}
