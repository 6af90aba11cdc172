import { Socket, type SocketConstructorOpts } from 'node:net';
import type { Channel, ChannelErrorCode, ChannelHandler, TunnelError } from '@burrow/tunnel';

/** One place to try; the next is tried only when this one refuses. */
export type Candidate =
  | { readonly host: string; readonly port: number }
  | { readonly path: string };

export interface SocketTargetOptions {
  readonly candidates: readonly Candidate[];
  /** Completes "… listens on", "The app on": `port 3000`. */
  readonly name: string;
  /** Called exactly once, when neither the channel nor the socket is in use any more. */
  readonly onDone: (outcome: Outcome) => void;
  readonly connectTimeoutMs?: number;
}

/** `refused` names why the target was never connected. */
export interface Outcome {
  readonly refused?: { readonly code: ChannelErrorCode; readonly reason: string };
}

const CONNECT_TIMEOUT_MS = 10_000;
/** How long a target that does not read may hold bytes of a channel that already ended in order. */
const LINGER_MS = 30_000;
/**
 * A connection that is not wanted any more is waited for so long, to be reset. Where the app's backlog was full, the
 * kernel asks again after 1 and 3 s (RFC 6298: its first timeout is 1 s): in between it is not about to be made.
 */
const UNWANTED_MS = 2_000;
/** Bytes in the socket's own queue before the channel is held back. */
const WRITE_BUFFER = 128 * 1024;
const READ_SLAB = 64 * 1024;
/** A socket that reads so much at once gets buffers of its own, to hand over without a copy. */
const HAND_OVER = 32 * 1024;
/** Chunks from this size on wait for the end of the event loop's turn, to be written together. */
const GATHER = 8 * 1024;

/**
 * The slab into which quiet sockets read; what they read is copied out at
 * once. One is enough for all: on POSIX libuv asks for the buffer, reads and
 * calls back in one go. It saves the 64 KiB allocation that node:net makes for
 * each read, however small. It is never handed over: every socket that was
 * given it reads into it again. On Windows reads overlap, so there plain
 * 'data' events are used.
 */
const SHARED_SLAB = Buffer.allocUnsafeSlow(READ_SLAB);
const sharedReads = process.platform !== 'win32';

/** Copies bytes between a channel and a socket in the workload, both ways, with half-close and back-pressure. */
export class SocketTarget implements ChannelHandler {
  readonly #channel: Channel;
  readonly #options: SocketTargetOptions;
  #socket: Socket | undefined;
  #candidate = 0;
  #connected = false;
  /** What arrives before the target is connected; bounded by the channel's first window. */
  #early: Buffer[] = [];
  #endEarly = false;
  /** Bytes given to the socket and not yet reported as consumed. */
  #owed = 0;
  #channelClosed = false;
  #done = false;
  #refused: Outcome['refused'];
  #gathering = false;
  /** Where the next read goes. */
  #slab = SHARED_SLAB;

  constructor(channel: Channel, options: SocketTargetOptions) {
    this.#channel = channel;
    this.#options = options;
  }

  start(): void {
    this.#connect();
  }

  // ---- from the channel ----

  onData(chunk: Buffer): void {
    if (!this.#connected) {
      this.#early.push(chunk);
      return;
    }
    this.#give(chunk);
  }

  onEnd(): void {
    if (this.#connected) this.#socket?.end();
    else this.#endEarly = true;
  }

  onWritable(): void {
    this.#socket?.resume();
  }

  onClose(error?: TunnelError): void {
    this.#channelClosed = true;
    this.#early = [];
    const socket = this.#socket;
    if (!socket || socket.destroyed) {
      this.#finish();
    } else if (!error) {
      // Both directions ended; what the socket still holds gets a last chance.
      socket.setTimeout(LINGER_MS, () => socket.destroy());
    } else {
      this.#breakOff(socket);
    }
  }

  // ---- to and from the socket ----

  /**
   * The app must see that this is no orderly end: RST, not FIN. A connection under way may have been made
   * by the kernel already: Node resets it once it knows. A unix socket has no reset.
   */
  #breakOff(socket: Socket): void {
    const { path } = this.#options.candidates[this.#candidate] as { readonly path?: string };
    if (path !== undefined) return void socket.destroy();
    if (!this.#connected) socket.setTimeout(UNWANTED_MS);
    socket.resetAndDestroy();
  }

  #give(chunk: Buffer): void {
    const length = chunk.length;
    const socket = this.#socket as Socket;
    if (length >= GATHER) this.#gather(socket);
    // No write callback: it would cost a closure per chunk. What the socket holds is bounded by WRITE_BUFFER.
    if (socket.write(chunk) && this.#owed === 0) this.#channel.consumed(length);
    else this.#owed += length;
  }

  /** HTTP/2 hands a link's bytes over in 16 KiB: what comes in one turn leaves in one system call. */
  #gather(socket: Socket): void {
    if (this.#gathering) return;
    this.#gathering = true;
    socket.cork();
    setImmediate(() => {
      this.#gathering = false;
      socket.uncork();
    });
  }

  #onDrain(): void {
    const owed = this.#owed;
    this.#owed = 0;
    if (owed > 0 && !this.#channelClosed) this.#channel.consumed(owed);
  }

  #onBytes(chunk: Buffer): void {
    if (!this.#channel.write(chunk)) this.#socket?.pause();
  }

  #connect(): void {
    const candidate = this.#options.candidates[this.#candidate] as Candidate;
    const options: SocketConstructorOpts & { writableHighWaterMark: number } = {
      allowHalfOpen: true,
      noDelay: true,
      writableHighWaterMark: WRITE_BUFFER,
    };
    if (sharedReads) {
      options.onread = {
        buffer: () => this.#slab,
        callback: (bytes, buffer) => {
          this.#onSlab(bytes, buffer as Buffer);
          return true;
        },
      };
    }
    const socket = new Socket(options);
    this.#socket = socket;
    let failure: NodeJS.ErrnoException | undefined;
    socket.on('error', (error) => (failure = error));
    socket.on('connect', () => this.#onConnect());
    socket.on('drain', () => this.#onDrain());
    if (!sharedReads) socket.on('data', (chunk) => this.#onBytes(chunk));
    socket.on('end', () => {
      if (!this.#channelClosed) this.#channel.end();
    });
    socket.on('close', () => this.#onSocketClose(failure));
    socket.setTimeout(this.#options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS, () =>
      // In a process that was held up, the connection may have been made meanwhile: that is heard first.
      setImmediate(() => {
        if (!socket.connecting) return;
        socket.destroy(Object.assign(new Error('timed out'), { code: 'ETIMEDOUT' }));
      }),
    );
    socket.connect(candidate);
  }

  /** Node asks for the next buffer right after this returns. */
  #onSlab(bytes: number, buffer: Buffer): void {
    if (bytes >= HAND_OVER) {
      const own = buffer !== SHARED_SLAB;
      this.#slab = Buffer.allocUnsafeSlow(READ_SLAB);
      this.#onBytes(own ? buffer.subarray(0, bytes) : copyOf(buffer, bytes));
    } else {
      this.#slab = SHARED_SLAB;
      this.#onBytes(copyOf(buffer, bytes));
    }
  }

  #onConnect(): void {
    if (this.#channelClosed) return;
    const socket = this.#socket as Socket;
    socket.setTimeout(0);
    socket.removeAllListeners('timeout');
    this.#connected = true;
    this.#channel.accept();
    const early = this.#early;
    this.#early = [];
    for (const chunk of early) this.#give(chunk);
    if (this.#endEarly) socket.end();
  }

  #onSocketClose(failure: NodeJS.ErrnoException | undefined): void {
    if (!this.#channelClosed) {
      if (!this.#connected) {
        if (isRefusal(failure) && this.#candidate + 1 < this.#options.candidates.length) {
          this.#candidate += 1;
          this.#connect();
          return;
        }
        this.#refused = this.#explain(failure);
        this.#channel.reset(this.#refused.code, this.#refused.reason);
      } else if (failure) {
        this.#channel.reset(
          'target-closed',
          `The app on ${this.#options.name} closed the connection abruptly (${failure.code ?? failure.message})`,
        );
      } else {
        // Both sides of the socket ended in order: so does the channel, once its last bytes are acknowledged.
        this.#channel.end();
        return;
      }
      this.#channelClosed = true;
    }
    this.#finish();
  }

  #explain(failure: NodeJS.ErrnoException | undefined): NonNullable<Outcome['refused']> {
    const { name } = this.#options;
    if (isRefusal(failure))
      return { code: 'nothing-listens', reason: `Nothing listens on ${name} in the workload` };
    if (failure?.code === 'ETIMEDOUT')
      return {
        code: 'timed-out',
        reason: `The app on ${name} did not accept the connection in time`,
      };
    const detail = failure?.code ?? failure?.message ?? 'closed';
    return { code: 'unreachable', reason: `The agent cannot connect to ${name} (${detail})` };
  }

  #finish(): void {
    if (this.#done) return;
    this.#done = true;
    this.#options.onDone(this.#refused ? { refused: this.#refused } : {});
  }
}

/** Nobody there; a host without IPv6 loopback, and a socket file that is gone, mean the same. */
const REFUSALS = new Set<string | undefined>([
  'ECONNREFUSED',
  'ENOENT',
  'EADDRNOTAVAIL',
  'EAFNOSUPPORT',
]);

function isRefusal(error: NodeJS.ErrnoException | undefined): boolean {
  return REFUSALS.has(error?.code);
}

function copyOf(buffer: Buffer, bytes: number): Buffer {
  const copy = Buffer.allocUnsafe(bytes);
  buffer.copy(copy, 0, 0, bytes);
  return copy;
}
