import type { MessagePort } from 'node:worker_threads';

import { TunnelError, type TunnelErrorCode } from '../errors.ts';
import { isTunnelCode } from '../grpc/status.ts';
import type { Transport, TransportHandler } from '../transport.ts';

/**
 * What crosses the port: first the counters of what its sender sends; frames (their memory changes
 * hands); `room` for who waits to send; or why the link ends.
 */
type Message =
  | SharedArrayBuffer
  | ArrayBuffer
  | 'room'
  | { readonly code: TunnelErrorCode; readonly reason: string };

/** What may be on its way before the next batch waits. It goes on when half of it has arrived. */
const AHEAD_BYTES = 256 * 1024;

/**
 * Counters of one direction that both threads see, since every message wakes a thread: bytes that
 * arrived, modulo 2^32; whether the sender waits; at how many arrived bytes it goes on.
 */
const ARRIVED = 0;
const WAITS = 1;
const TARGET = 2;

/**
 * A link between two threads of one process. One copy for each batch: payloads
 * are slices of larger buffers, and only whole buffers can change hands.
 */
export class PortTransport implements Transport {
  readonly #port: MessagePort;
  #handler: TransportHandler | undefined;
  #done = false;
  readonly #out = new Int32Array(new SharedArrayBuffer(12));
  #in: Int32Array | undefined;
  /** Bytes, modulo 2^32. */
  #sent = 0;

  constructor(port: MessagePort) {
    this.#port = port;
    port.postMessage(this.#out.buffer);
  }

  setHandler(handler: TransportHandler): void {
    this.#handler = handler;
    this.#port.on('message', this.#onMessage);
    this.#port.on('close', () => {
      this.#finish(new TunnelError('link-lost', 'The other thread is gone.'));
    });
  }

  send(chunks: Buffer[], bytes: number): void {
    if (this.#done) return;
    // Not from the pool: its memory is to change hands. Not zeroed: all of it is written.
    const whole = Buffer.allocUnsafeSlow(bytes);
    let at = 0;
    for (const chunk of chunks) {
      whole.set(chunk, at);
      at += chunk.length;
    }
    this.#port.postMessage(whole.buffer, [whole.buffer]);
    this.#sent = (this.#sent + bytes) | 0;
    if (this.#ahead < AHEAD_BYTES) return void setImmediate(this.#onPosted);
    Atomics.store(this.#out, TARGET, (this.#sent - AHEAD_BYTES / 2) | 0);
    Atomics.store(this.#out, WAITS, 1);
    // It may have arrived before the other thread could see that somebody waits.
    if (this.#ahead <= AHEAD_BYTES / 2 && Atomics.exchange(this.#out, WAITS, 0) === 1) {
      setImmediate(this.#onPosted);
    }
  }

  get #ahead(): number {
    return (this.#sent - Atomics.load(this.#out, ARRIVED)) | 0;
  }

  close(error: TunnelError): void {
    if (this.#done) return;
    this.#port.postMessage({ code: error.code, reason: error.message });
    this.#finish(error);
  }

  readonly #onPosted = (): void => {
    if (!this.#done) this.#handler?.onSent();
  };

  readonly #onMessage = (message: Message): void => {
    if (this.#done) return;
    if (message === 'room') {
      this.#handler?.onSent();
    } else if (message instanceof ArrayBuffer) {
      // Before the bytes are looked at: the next batch comes meanwhile.
      this.#arrived(message.byteLength);
      this.#handler?.onBytes(Buffer.from(message));
    } else if (message instanceof SharedArrayBuffer) {
      this.#in = new Int32Array(message);
    } else {
      const code = isTunnelCode(message.code) ? message.code : 'internal';
      this.#finish(new TunnelError(code, message.reason, { remote: true }));
    }
  };

  #arrived(bytes: number): void {
    const counters = this.#in;
    if (counters === undefined) return;
    const arrived = (Atomics.add(counters, ARRIVED, bytes) + bytes) | 0;
    if (Atomics.load(counters, WAITS) === 0) return;
    if (((arrived - Atomics.load(counters, TARGET)) | 0) < 0) return;
    if (Atomics.exchange(counters, WAITS, 0) === 1) this.#port.postMessage('room');
  }

  #finish(error: TunnelError): void {
    if (this.#done) return;
    this.#done = true;
    this.#port.close();
    this.#handler?.onClose(error);
  }
}
