import { TunnelError, type Channel, type Link, type OpenOptions } from '@burrow/tunnel';
import type { RawData, WebSocket } from 'ws';
import { closeOf } from './close-codes.ts';
import type { ClientLimits } from './limits.ts';

/** How long the close handshake may take before the socket is cut. ms */
const CLOSE_MS = 5_000;

/** A WebSocket whose binary messages are the bytes of one channel. Reads nothing before it is joined. */
export class WebSocketChannel {
  readonly #socket: WebSocket;
  readonly #limits: Pick<ClientLimits, 'keepAliveMs' | 'lingerMs'>;
  readonly #gone = new AbortController();
  #channel: Channel | undefined;
  #timer: NodeJS.Timeout | undefined;
  #heard = true;
  #ended = false;
  /** The WebSocket has closed and the channel ended. At most once. */
  onEnd: (() => void) | undefined;

  constructor(socket: WebSocket, limits: Pick<ClientLimits, 'keepAliveMs' | 'lingerMs'>) {
    this.#socket = socket;
    this.#limits = limits;
    socket.on('error', () => {});
    socket.on('message', this.#onMessage);
    socket.on('pong', () => (this.#heard = true));
    socket.on('close', this.#onSocketClose);
    socket.pause();
  }

  /** Aborted when the client has gone. */
  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  get closed(): boolean {
    return this.#socket.readyState !== this.#socket.OPEN;
  }

  /** Opens the channel and lets bytes flow. Throws what `Link.open` throws. Returns the channel's uid. */
  join(link: Link, options: OpenOptions): string {
    const channel = link.open(options, {
      onData: (chunk) => {
        this.#socket.send(chunk, { binary: true }, () => channel.consumed(chunk.length));
      },
      onEnd: () => this.close(...closeOf(undefined)),
      onWritable: () => this.#socket.resume(),
      onClose: (error) => {
        this.close(...closeOf(error));
        this.#finish();
      },
    });
    this.#channel = channel;
    this.#timer = setInterval(this.#keepAlive, this.#limits.keepAliveMs);
    this.#timer.unref();
    this.#socket.resume();
    return channel.uid;
  }

  /** Ends both sides now, for a reason that the client is told. */
  cut(error: TunnelError): void {
    this.#channel?.reset('revoked', error.message);
    this.close(...closeOf(error));
    this.#finish();
  }

  /** Says goodbye; what was sent before leaves first. Idempotent. */
  close(code: number, reason: string): void {
    // A paused socket would not hear the client's own goodbye.
    this.#socket.resume();
    this.#socket.close(code, reason);
    setTimeout(() => this.#socket.terminate(), CLOSE_MS).unref();
  }

  readonly #onMessage = (data: RawData, binary: boolean): void => {
    this.#heard = true;
    const channel = this.#channel;
    if (channel === undefined || this.#ended) return;
    if (!binary) {
      channel.reset('protocol-error', 'The client sent text where binary messages are due.');
      this.close(1003, 'Send SSH in binary messages.');
      this.#finish();
      return;
    }
    for (const chunk of Array.isArray(data) ? data : [data]) {
      if (!channel.write(chunk instanceof ArrayBuffer ? new Uint8Array(chunk) : chunk)) {
        if (!channel.closed) this.#socket.pause();
      }
    }
  };

  readonly #onSocketClose = (): void => {
    this.#gone.abort(new TunnelError('cancelled', 'The client is gone.'));
    const channel = this.#channel;
    if (channel === undefined || channel.closed) return this.#finish();
    // What it sent before it left still arrives; then the workload learns of the end.
    channel.end();
    setTimeout(() => {
      channel.reset('cancelled', 'The client closed its WebSocket.');
      this.#finish();
    }, this.#limits.lingerMs).unref();
  };

  readonly #keepAlive = (): void => {
    // A paused socket hears no pong.
    if (!this.#heard && !this.#socket.isPaused) {
      this.#channel?.reset('timed-out', 'The client has been silent for too long.');
      this.#socket.terminate();
      this.#finish();
      return;
    }
    this.#heard = false;
    this.#socket.ping();
  };

  #finish(): void {
    if (this.#ended) return;
    this.#ended = true;
    clearInterval(this.#timer);
    this.onEnd?.();
  }
}
