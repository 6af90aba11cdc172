import type { WebSocket } from 'ws';

import { TunnelError } from '../errors.ts';
import { isTunnelCode } from '../grpc/status.ts';
import { CLOSE_TIMEOUT_MS } from '../limits.ts';
import type { Transport, TransportHandler } from '../transport.ts';

export const SUBPROTOCOL = 'burrow.tunnel.v1';

/** Close code for a link that ended with an error (RFC 6455 7.4.2: 4000-4999 are private). */
const CLOSE_CODE = 4000;
/** RFC 6455 5.5: a control frame's payload is at most 125 bytes, two of which are the code. */
const MAX_CLOSE_REASON_BYTES = 123;

/** A link's frames in binary WebSocket messages. The reason of the end travels as `code: sentence`. */
export class WsTransport implements Transport {
  readonly #socket: WebSocket;
  #handler: TransportHandler | undefined;
  #error: TunnelError | undefined;
  #done = false;

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.binaryType = 'nodebuffer';
    socket.on('error', (cause) => {
      this.#error ??= new TunnelError('link-lost', `The WebSocket failed: ${cause.message}`, {
        cause,
      });
    });
    socket.on('close', (code, reason) => this.#finish(code, reason.toString()));
  }

  setHandler(handler: TransportHandler): void {
    this.#handler = handler;
    this.#socket.on('message', (data: Buffer, binary: boolean) => {
      if (binary) handler.onBytes(data);
      else
        this.close(
          new TunnelError('protocol-error', 'The peer sent a text message; a link speaks binary.'),
        );
    });
  }

  send(chunks: Buffer[], bytes: number): void {
    const message = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, bytes);
    this.#socket.send(message, this.#onWritten);
  }

  close(error: TunnelError): void {
    if (this.#error !== undefined || this.#done) return;
    this.#error = error;
    const reason = Buffer.from(`${error.code}: ${error.message}`).subarray(
      0,
      MAX_CLOSE_REASON_BYTES,
    );
    this.#socket.close(CLOSE_CODE, reason.toString().replace(/\uFFFD+$/, ''));
    const timer = setTimeout(() => this.#socket.terminate(), CLOSE_TIMEOUT_MS);
    this.#socket.once('close', () => clearTimeout(timer));
  }

  readonly #onWritten = (error?: Error | null): void => {
    if (!error && !this.#done) this.#handler?.onSent();
  };

  #finish(code: number, reason: string): void {
    if (this.#done) return;
    this.#done = true;
    this.#handler?.onClose(this.#error ?? errorFromClose(code, reason));
  }
}

function errorFromClose(code: number, reason: string): TunnelError {
  const at = reason.indexOf(': ');
  const said = reason.slice(0, at);
  if (code === CLOSE_CODE && at > 0 && isTunnelCode(said)) {
    return new TunnelError(said, reason.slice(at + 2), { remote: true });
  }
  return new TunnelError('link-lost', `The WebSocket was closed (${code}).`);
}
