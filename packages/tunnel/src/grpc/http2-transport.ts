import type { Http2Stream } from 'node:http2';

import { TunnelError } from '../errors.ts';
import { CLOSE_TIMEOUT_MS } from '../limits.ts';
import type { Transport, TransportHandler } from '../transport.ts';

/** The two sides end a stream differently: the server with trailers, the client by cancelling. */
export interface StreamEnd {
  close(error: TunnelError): void;
  /** What the other side said, if it said why it ended. */
  reason(): TunnelError | undefined;
}

/** A link's bytes on an HTTP/2 stream, with its session all to itself. */
export class Http2Transport implements Transport {
  readonly #stream: Http2Stream;
  readonly #end: StreamEnd;
  #handler: TransportHandler | undefined;
  #error: TunnelError | undefined;
  #done = false;

  constructor(stream: Http2Stream, end: StreamEnd) {
    this.#stream = stream;
    this.#end = end;
    stream.on('error', (cause) => {
      this.#error ??= new TunnelError('link-lost', `The connection failed: ${cause.message}`, {
        cause,
      });
    });
    stream.on('close', () => this.#finish());
    stream.on('aborted', () => stream.destroy());
  }

  setHandler(handler: TransportHandler): void {
    this.#handler = handler;
    this.#stream.on('data', (chunk: Buffer) => handler.onBytes(chunk));
    this.#stream.on('end', () => {
      // gRPC's half-close means nothing on a link: either side that stops ends it.
      if (!this.#stream.destroyed)
        this.close(
          new TunnelError('link-lost', 'The other side ended the link.', { remote: true }),
        );
    });
  }

  send(chunks: Buffer[]): void {
    const stream = this.#stream;
    if (stream.destroyed || stream.writableEnded) return;
    const last = chunks.length - 1;
    if (last > 0) stream.cork();
    for (let i = 0; i < last; i++) stream.write(chunks[i]);
    stream.write(chunks[last], this.#onWritten);
    if (last > 0) stream.uncork();
  }

  close(error: TunnelError): void {
    if (this.#error !== undefined || this.#done) return;
    this.#error = error;
    this.#end.close(error);
    const stream = this.#stream;
    // A peer that no longer reads must not keep the connection for ever.
    const timer = setTimeout(() => stream.session?.destroy(), CLOSE_TIMEOUT_MS);
    stream.once('close', () => {
      clearTimeout(timer);
      this.#finish();
    });
  }

  readonly #onWritten = (error?: Error | null): void => {
    if (!error && !this.#done) this.#handler?.onSent();
  };

  #finish(): void {
    if (this.#done) return;
    this.#done = true;
    const session = this.#stream.session;
    if (session !== undefined && !session.destroyed) session.close();
    const said = this.#end.reason();
    this.#handler?.onClose(
      said ?? this.#error ?? new TunnelError('link-lost', 'The connection was lost.'),
    );
  }
}
