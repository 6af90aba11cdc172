/**
 * What the engine needs of an upstream: a `Channel` of `@burrow/tunnel` fits as
 * it is, `duplexToByteStream` makes one from any Duplex (a TLS client over a
 * channel, the in-process control server).
 */
import type { Duplex } from 'node:stream';

/** As `ChannelHandler`, with any Error at the end. */
export interface ByteStreamHandler {
  onOpened?(): void;
  onData(chunk: Buffer): void;
  onEnd(): void;
  onWritable?(): void;
  onClose(error?: Error): void;
}

export interface ByteStream {
  /** Of a channel: its id in the logs of relay and agent. */
  readonly uid?: string | undefined;
  readonly closed: boolean;
  /** Of a channel: false until its target is connected. */
  readonly opened?: boolean | undefined;
  /** Of a channel: what carries it. */
  readonly link?: { readonly draining: boolean } | undefined;
  setHandler(handler: ByteStreamHandler): void;
  /** False: stop until `onWritable`. */
  write(chunk: Uint8Array): boolean;
  end(): void;
  /** Ends both directions now; `onClose` is not called for it. */
  reset(code: 'cancelled' | 'protocol-error' | 'timed-out', reason: string): void;
  /** `bytes` that came through `onData` were handed on. */
  consumed(bytes: number): void;
}

/** Bytes given to the handler and not consumed at which a Duplex is paused. */
const PAUSE_AT = 256 * 1024;

type Carrier = Pick<ByteStream, 'uid' | 'opened' | 'link'>;

/** The handler may be set later; until then the Duplex is not read. `over`: the channel below it. */
export function duplexToByteStream(duplex: Duplex, over?: Carrier): ByteStream {
  return new DuplexByteStream(duplex, over);
}

class DuplexByteStream implements ByteStream {
  readonly uid: ByteStream['uid'];
  readonly link: ByteStream['link'];
  readonly #duplex: Duplex;
  readonly #over: Carrier | undefined;
  #handler: ByteStreamHandler | undefined;
  #owed = 0;
  #error: Error | undefined;
  #closed = false;
  #reset = false;

  constructor(duplex: Duplex, over: Carrier | undefined) {
    this.#duplex = duplex;
    this.#over = over;
    this.uid = over?.uid;
    this.link = over?.link;
    duplex.on('error', (error) => {
      this.#error ??= error;
    });
    duplex.on('close', () => this.#onClose());
  }

  get closed(): boolean {
    return this.#closed;
  }

  get opened(): boolean | undefined {
    return this.#over?.opened;
  }

  setHandler(handler: ByteStreamHandler): void {
    const first = this.#handler === undefined;
    this.#handler = handler;
    if (!first) return;
    this.#duplex.on('data', (chunk: Buffer) => {
      this.#owed += chunk.length;
      if (this.#owed > PAUSE_AT) this.#duplex.pause();
      if (!this.#reset) this.#handler?.onData(chunk);
    });
    this.#duplex.on('end', () => {
      if (!this.#reset) this.#handler?.onEnd();
    });
    this.#duplex.on('drain', () => {
      if (!this.#reset) this.#handler?.onWritable?.();
    });
  }

  write(chunk: Uint8Array): boolean {
    if (this.#closed || this.#reset || this.#duplex.writableEnded) return false;
    return this.#duplex.write(chunk);
  }

  end(): void {
    if (!this.#closed && !this.#duplex.writableEnded) this.#duplex.end();
  }

  reset(_code: string, _reason: string): void {
    if (this.#reset || this.#closed) return;
    this.#reset = true;
    this.#closed = true;
    this.#duplex.destroy();
  }

  consumed(bytes: number): void {
    this.#owed -= bytes;
    if (this.#owed <= PAUSE_AT && this.#duplex.isPaused()) this.#duplex.resume();
  }

  #onClose(): void {
    if (this.#reset || this.#closed) return;
    this.#closed = true;
    this.#handler?.onClose(this.#error);
  }
}
