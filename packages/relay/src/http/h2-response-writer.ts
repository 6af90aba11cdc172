import type { OutgoingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { NO_TRAILERS } from './exchange.ts';
import type { LocalResponse } from './gate-policy.ts';
import type { ResponseHead } from './h1-response.ts';
import { asHeaders } from './h2-headers.ts';

/** Date is the app's own, or there is none: as over HTTP/1. Not among the options' types. */
const NO_DATE = { sendDate: false };

export interface WriterEvents {
  /** What of an app's head is passed on. */
  headersOf(head: ResponseHead): OutgoingHttpHeaders;
  onHeadSent(status: number): void;
  /** `node:http2` throws for fields it does not send (two Content-Types, say). */
  onUnsendable(error: unknown): void;
}

/** Writes one response to an HTTP/2 stream. */
export class H2ResponseWriter {
  headSent = false;
  /** Bytes of the body given to the stream. */
  written = 0;
  readonly #stream: ServerHttp2Stream;
  readonly #events: WriterEvents;
  #withTrailers = false;
  #bodiless = false;
  #pending: ResponseHead | undefined;
  #trailers: readonly string[] = NO_TRAILERS;

  constructor(stream: ServerHttp2Stream, events: WriterEvents) {
    this.#stream = stream;
    this.#events = events;
  }

  informational(head: ResponseHead): void {
    if (this.#stream.headersSent || this.#stream.destroyed) return;
    this.#guard(() => this.#stream.additionalHeaders(this.#events.headersOf(head)));
  }

  /**
   * The head waits for the rest of its batch: a response without a body must end with it
   * (gRPC tells its "trailers only" answers by that).
   */
  begin(head: ResponseHead, bodiless: boolean, mayHaveTrailers: boolean): void {
    this.#bodiless = bodiless;
    this.#withTrailers = !bodiless && mayHaveTrailers;
    this.#pending = head;
  }

  /** Forgets a head that still waits. */
  discard(): void {
    this.#pending = undefined;
  }

  /** What waits leaves. */
  flush(): void {
    this.#sendPending(false);
  }

  body(chunk: Buffer): void {
    if (this.#stream.destroyed || this.#stream.writableEnded) return;
    this.written += chunk.length;
    this.#stream.write(chunk);
  }

  end(trailers: readonly string[]): void {
    this.#trailers = trailers;
    this.#sendPending(true);
    if (!this.#stream.destroyed && !this.#stream.writableEnded) this.#stream.end();
  }

  /** The answer to an extended CONNECT (RFC 8441 section 5.1) for an app's 101. */
  upgraded(head: ResponseHead): void {
    const headers = this.#events.headersOf(head);
    delete headers['sec-websocket-accept'];
    this.#send(200, headers, false);
  }

  /** A complete answer of our own. */
  local(response: LocalResponse, toHead: boolean): void {
    const headers = asHeaders(response.status, response.headers);
    const body =
      typeof response.body === 'string' ? Buffer.from(response.body) : Buffer.from(response.body);
    const none = response.status === 204 || response.status === 304;
    if (!none) headers['content-length'] = body.length;
    const bodiless = none || toHead;
    this.#stream.respond(headers, { endStream: bodiless });
    if (bodiless) return;
    this.written += body.length;
    this.#stream.end(body);
  }

  #sendPending(complete: boolean): void {
    const head = this.#pending;
    if (head === undefined) return;
    this.#pending = undefined;
    const endStream = this.#bodiless || (complete && this.#trailers.length === 0);
    if (endStream) this.#withTrailers = false;
    this.#guard(() => this.#send(head.status, this.#events.headersOf(head), endStream));
  }

  #send(status: number, headers: OutgoingHttpHeaders, endStream: boolean): void {
    const stream = this.#stream;
    if (stream.destroyed || stream.headersSent) return;
    headers[':status'] = status;
    this.#guard(() => {
      const options = { endStream, waitForTrailers: this.#withTrailers, ...NO_DATE };
      stream.respond(headers, options);
      if (this.#withTrailers) {
        stream.once('wantTrailers', () => {
          if (!stream.destroyed)
            this.#guard(() => stream.sendTrailers(asHeaders(undefined, this.#trailers)));
        });
      }
      this.headSent = true;
      this.#events.onHeadSent(status);
    });
  }

  #guard(send: () => void): void {
    try {
      send();
    } catch (error) {
      this.#events.onUnsendable(error);
    }
  }
}
