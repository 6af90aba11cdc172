import { Duplex } from 'node:stream';

/** Bytes that one side may have written and the other one not yet read. */
const WINDOW = 64 * 1024;
/** How long what was sent before the end may wait for its reader, ms. */
const LINGER_MS = 1_000;

/**
 * One end of a connection inside the process, with the manners of a TCP socket:
 * back-pressure, half-close, and an end that both sides hear about.
 */
class MemorySocket extends Duplex {
  // What node:http and Fastify ask of a socket.
  readonly remoteAddress = '127.0.0.1';
  readonly remoteFamily = 'IPv4';
  peer: MemorySocket | undefined;
  /** `client`: what the server sent before it went may still be read. */
  readonly #side: 'client' | 'server';
  /** Tells the peer's write that there is room here again. */
  #room: (() => void) | undefined;
  #inputEnded = false;
  #linger: NodeJS.Timeout | undefined;

  constructor(side: 'client' | 'server') {
    super({ readableHighWaterMark: WINDOW, writableHighWaterMark: WINDOW, allowHalfOpen: true });
    this.#side = side;
  }

  override _read(): void {
    const room = this.#room;
    this.#room = undefined;
    room?.();
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    // Nobody listens any more: this end is about to be closed, see #lost.
    if (this.peer === undefined || this.peer.destroyed) return;
    this.peer.#receive(chunk, done);
  }

  override _final(done: () => void): void {
    if (this.peer !== undefined) this.peer.#receiveEnd();
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    clearTimeout(this.#linger);
    const { peer } = this;
    if (peer && !peer.destroyed) peer.#lost();
    done(error);
  }

  #receive(chunk: Buffer, done: () => void): void {
    if (this.push(chunk)) done();
    else this.#room = done;
  }

  #receiveEnd(): void {
    if (this.#inputEnded || this.destroyed) return;
    this.#inputEnded = true;
    this.push(null);
  }

  #lost(): void {
    if (this.#side === 'server') {
      this.destroy(reset());
      return;
    }
    this.#receiveEnd();
    if (this.readableEnded) {
      this.destroy();
      return;
    }
    this.once('end', () => this.destroy());
    this.#linger = setTimeout(() => this.destroy(reset()), LINGER_MS);
  }
}

function reset(): Error {
  return Object.assign(new Error('the other end of this connection is gone'), {
    code: 'ECONNRESET',
  });
}

export function memorySocketPair(): { readonly client: Duplex; readonly server: Duplex } {
  const client = new MemorySocket('client');
  const server = new MemorySocket('server');
  client.peer = server;
  server.peer = client;
  // A connection that fails is its users' to notice by `close`; it must not end the process.
  client.on('error', () => {});
  server.on('error', () => {});
  return { client, server };
}
