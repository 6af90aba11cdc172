import type { MessagePort } from 'node:worker_threads';

import { TunnelError, type TunnelErrorCode } from '../errors.ts';
import { isTunnelCode } from '../grpc/status.ts';
import type { Transport, TransportHandler } from '../transport.ts';

/**
 * What crosses the port: frames (their memory changes hands), how many bytes
 * of them arrived, or why the link ends.
 */
type Message = ArrayBuffer | number | { readonly code: TunnelErrorCode; readonly reason: string };

/** Each message wakes a thread: arrival is said for so many bytes at once. */
const SAY_EVERY_BYTES = 64 * 1024;
/** What may be on its way before the next batch waits. */
const AHEAD_BYTES = 256 * 1024;

/**
 * A link between two threads of one process. One copy for each batch: payloads
 * are slices of larger buffers, and only whole buffers can change hands.
 */
export class PortTransport implements Transport {
  readonly #port: MessagePort;
  #handler: TransportHandler | undefined;
  #done = false;
  /** Sent, and not said to have arrived. */
  #ahead = 0;
  /** Arrived, and not said so yet. */
  #unsaid = 0;
  #waits = false;

  constructor(port: MessagePort) {
    this.#port = port;
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
    this.#ahead += bytes;
    if (this.#ahead < AHEAD_BYTES) setImmediate(this.#onPosted);
    else this.#waits = true;
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
    if (typeof message === 'number') {
      this.#ahead -= message;
      if (!this.#waits || this.#ahead >= AHEAD_BYTES) return;
      this.#waits = false;
      this.#handler?.onSent();
    } else if (message instanceof ArrayBuffer) {
      this.#unsaid += message.byteLength;
      if (this.#unsaid >= SAY_EVERY_BYTES) {
        // Before the bytes are looked at: the next batch comes meanwhile.
        this.#port.postMessage(this.#unsaid);
        this.#unsaid = 0;
      }
      this.#handler?.onBytes(Buffer.from(message));
    } else {
      const code = isTunnelCode(message.code) ? message.code : 'internal';
      this.#finish(new TunnelError(code, message.reason, { remote: true }));
    }
  };

  #finish(error: TunnelError): void {
    if (this.#done) return;
    this.#done = true;
    this.#port.close();
    this.#handler?.onClose(error);
  }
}
