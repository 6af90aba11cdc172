import type { MessagePort } from 'node:worker_threads';

import { TunnelError, type TunnelErrorCode } from '../errors.ts';
import { isTunnelCode } from '../grpc/status.ts';
import type { Transport, TransportHandler } from '../transport.ts';

/**
 * What crosses the port: frames (their memory changes hands), the word that
 * they arrived, or why the link ends.
 */
type Message =
  | ArrayBuffer
  | typeof ARRIVED
  | { readonly code: TunnelErrorCode; readonly reason: string };

const ARRIVED = 1;

/**
 * A link between two threads of one process. One copy for each batch: payloads
 * are slices of larger buffers, and only whole buffers can change hands.
 */
export class PortTransport implements Transport {
  readonly #port: MessagePort;
  #handler: TransportHandler | undefined;
  #done = false;

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
  }

  close(error: TunnelError): void {
    if (this.#done) return;
    this.#port.postMessage({ code: error.code, reason: error.message });
    this.#finish(error);
  }

  readonly #onMessage = (message: Message): void => {
    if (this.#done) return;
    if (message === ARRIVED) {
      this.#handler?.onSent();
    } else if (message instanceof ArrayBuffer) {
      // Before the bytes are looked at: the next batch gathers meanwhile.
      this.#port.postMessage(ARRIVED);
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
