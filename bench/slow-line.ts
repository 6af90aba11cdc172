/**
 * A WAN line for one machine: a TCP proxy that delays and rate-limits. All
 * connections through one SlowLine share it, as users of one uplink do.
 *
 * Each direction is a transmitter of `bytesPerSecond` behind one first-in,
 * first-out queue, then `delayMs` of propagation. Default: 200 Mbit/s, 50 ms
 * each way (100 ms round trip), a queue of two bandwidth-delay products.
 *
 * What it is not: packets. While the queue is full the proxy stops reading, so
 * that senders meet back-pressure where a router would drop. That is a deep,
 * lossless buffer. And each leg's own TCP ends here, so a sender's TCP sees
 * loopback: slow start and TCP windows of a real line are not in the picture,
 * only rate, delay and queue. The one thing kept of the handshake is its cost:
 * the first bytes of a connection wait one round trip.
 */
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

export interface SlowLineOptions {
  /** Where connections lead, on loopback. */
  readonly targetPort: number;
  /** Each way. Default 25,000,000 (200 Mbit/s). */
  readonly bytesPerSecond?: number;
  /** One way, ms. Default 50. */
  readonly delayMs?: number;
  /** Per direction. Default: two bandwidth-delay products (rate x round trip x 2). */
  readonly queueBytes?: number;
}

/** Small enough that one slice takes 0.66 ms at the default rate. */
const SLICE_BYTES = 16 * 1024;
/** What a receiver that does not read may pile up here, per connection, before its sender is stopped. */
const UNREAD_BYTES = 1024 * 1024;

type Parcel = {
  readonly to: Socket;
  /** Undefined: the half-close that follows the last byte. */
  readonly bytes: Buffer | undefined;
  /** ms on the performance clock. */
  readonly arrives: number;
};

/** One direction, shared by all connections. */
export class Lane {
  /** When the transmitter has sent all that is queued; ms on the performance clock. */
  #freeAt = 0;
  #onTheWay: Parcel[] = [];
  #head = 0;
  #timer: NodeJS.Timeout | undefined;
  #wake: NodeJS.Timeout | undefined;
  /** Senders stopped by the full queue, and where their bytes go. */
  #waiting = new Map<Socket, Socket>();
  readonly #bytesPerMs: number;
  readonly #delayMs: number;
  readonly #queueBytes: number;

  constructor(bytesPerSecond: number, delayMs: number, queueBytes: number) {
    this.#bytesPerMs = bytesPerSecond / 1000;
    this.#delayMs = delayMs;
    this.#queueBytes = queueBytes;
  }

  /** Bytes that wait for the transmitter. */
  get backlog(): number {
    return Math.max(0, (this.#freeAt - performance.now()) * this.#bytesPerMs);
  }

  /** Queues what `from` sent, for `to`; stops reading from `from` while the queue is full. */
  send(from: Socket, to: Socket, bytes: Buffer): void {
    const now = performance.now();
    for (let at = 0; at < bytes.length; at += SLICE_BYTES) {
      const slice = bytes.subarray(at, at + SLICE_BYTES);
      this.#freeAt = Math.max(now, this.#freeAt) + slice.length / this.#bytesPerMs;
      this.#onTheWay.push({ to, bytes: slice, arrives: this.#freeAt + this.#delayMs });
    }
    if (this.backlog >= this.#queueBytes) {
      from.pause();
      this.#waiting.set(from, to);
      this.#armWake();
    }
    this.#arm();
  }

  /** Half-closes `to` once everything sent so far has arrived. */
  end(to: Socket): void {
    const arrives = Math.max(performance.now(), this.#freeAt) + this.#delayMs;
    this.#onTheWay.push({ to, bytes: undefined, arrives });
    this.#arm();
  }

  forget(socket: Socket): void {
    this.#waiting.delete(socket);
  }

  isFullFor(socket: Socket): boolean {
    return this.#waiting.has(socket);
  }

  stop(): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#wake);
    this.#onTheWay = [];
    this.#head = 0;
    this.#waiting.clear();
  }

  #arm(): void {
    const next = this.#onTheWay[this.#head];
    if (this.#timer !== undefined || next === undefined) return;
    // A timer fires up to 1 ms late; the schedule itself does not drift.
    const wait = Math.max(1, Math.floor(next.arrives - performance.now()));
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#deliver();
      this.#arm();
    }, wait);
  }

  #deliver(): void {
    const now = performance.now() + 0.5;
    const corked = new Set<Socket>();
    for (;;) {
      const parcel = this.#onTheWay[this.#head];
      if (parcel === undefined || parcel.arrives > now) break;
      this.#head += 1;
      if (parcel.to.destroyed) continue;
      if (parcel.bytes === undefined) {
        parcel.to.end();
        continue;
      }
      if (!corked.has(parcel.to)) {
        corked.add(parcel.to);
        parcel.to.cork();
      }
      parcel.to.write(parcel.bytes);
    }
    for (const socket of corked) socket.uncork();
    if (this.#head > 1024) {
      this.#onTheWay.splice(0, this.#head);
      this.#head = 0;
    }
  }

  #armWake(): void {
    if (this.#wake !== undefined) return;
    // Read again when one read's worth (64 KiB) fits.
    const over = this.backlog - (this.#queueBytes - 64 * 1024);
    this.#wake = setTimeout(
      () => {
        this.#wake = undefined;
        const waiting = [...this.#waiting];
        this.#waiting.clear();
        for (const [from, to] of waiting) if (to.writableLength < UNREAD_BYTES) from.resume();
      },
      Math.max(1, over / this.#bytesPerMs),
    );
  }
}

export class SlowLine {
  readonly #server: Server;
  readonly #up: Lane;
  readonly #down: Lane;
  readonly #roundTripMs: number;
  readonly #targetPort: number;
  readonly #sockets = new Set<Socket>();

  constructor(options: SlowLineOptions) {
    const bytesPerSecond = options.bytesPerSecond ?? 25_000_000;
    const delayMs = options.delayMs ?? 50;
    this.#roundTripMs = 2 * delayMs;
    const queueBytes = options.queueBytes ?? 2 * ((bytesPerSecond * this.#roundTripMs) / 1000);
    this.#targetPort = options.targetPort;
    this.#up = new Lane(bytesPerSecond, delayMs, queueBytes);
    this.#down = new Lane(bytesPerSecond, delayMs, queueBytes);
    this.#server = createServer(
      { allowHalfOpen: true, pauseOnConnect: true, noDelay: true },
      (socket) => this.#join(socket),
    );
  }

  /** Bytes waiting in the queues: towards the target, and back. */
  get backlog(): { readonly up: number; readonly down: number } {
    return { up: this.#up.backlog, down: this.#down.backlog };
  }

  /** Resolves with the port on loopback; 0 picks a free one. */
  listen(port = 0): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, '127.0.0.1', () =>
        resolve((this.#server.address() as AddressInfo).port),
      );
    });
  }

  async close(): Promise<void> {
    this.#up.stop();
    this.#down.stop();
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #join(near: Socket): void {
    const far = connect({
      port: this.#targetPort,
      host: '127.0.0.1',
      allowHalfOpen: true,
      noDelay: true,
    });
    this.#carry(near, far, this.#up);
    this.#carry(far, near, this.#down);
    const handshake = setTimeout(() => near.resume(), this.#roundTripMs);
    near.once('close', () => clearTimeout(handshake));
  }

  #carry(from: Socket, to: Socket, lane: Lane): void {
    this.#sockets.add(from);
    from.on('data', (bytes: Buffer) => {
      lane.send(from, to, bytes);
      if (to.writableLength >= UNREAD_BYTES) from.pause();
    });
    to.on('drain', () => {
      if (!lane.isFullFor(from)) from.resume();
    });
    from.on('end', () => lane.end(to));
    from.on('error', () => to.destroy());
    from.on('close', (failed: boolean) => {
      lane.forget(from);
      this.#sockets.delete(from);
      if (failed) to.destroy();
      // The peer is gone without a half-close: nothing more can be delivered to it.
      else if (!from.readableEnded) to.destroy();
    });
  }
}
