/**
 * An HTTP/1.1 client on one byte stream, one request at a time: the `Exchange`
 * of `http` and `https` ports and of the control server.
 */
import { RelayError } from '../errors.ts';
import type { ByteStream, ByteStreamHandler } from './byte-stream.ts';
import {
  NO_TRAILERS,
  refusedByDrain,
  type Exchange,
  type RequestPlan,
  type ResponseSink,
} from './exchange.ts';
import { HeadError } from './h1-head.ts';
import type { ResponseHead } from './h1-response.ts';
import { H1ResponseReader, type ResponseEvents, type ResponseHeads } from './h1-response-reader.ts';
import { writeTrailers } from './headers.ts';

/** Who gets the connection back. */
export interface UpstreamOwner extends ResponseHeads {
  /** The connection can take another request. */
  release(upstream: H1Upstream): void;
  /** It cannot; it has ended or is ending. */
  forget(upstream: H1Upstream): void;
}

const IDLE = 0;
/** A response is awaited or read. */
const BUSY = 1;
const UPGRADED = 2;
/** The response is complete, the request is not. */
const REQUEST_LEFT = 3;
const DEAD = 4;

const LAST_CHUNK = Buffer.from('0\r\n');
const CRLF = Buffer.from('\r\n');
/** A body piece up to this size is copied behind its head, so that both are one frame. */
const JOIN_BYTES = 16 * 1024;

export class H1Upstream implements Exchange, ByteStreamHandler, ResponseEvents {
  readonly rawChunks = true;
  /** `performance.now()` of the last release. */
  idleSince = 0;
  /** Requests served; over 0, a failure without a byte may be the stale-connection race. */
  served = 0;

  readonly #stream: ByteStream;
  readonly #owner: UpstreamOwner;
  #sink: ResponseSink | undefined;
  #state = IDLE;
  readonly #reader: H1ResponseReader;
  #owed = 0;
  #ended = false;
  #touched = false;
  #requestDone = true;
  #requestChunked = false;

  constructor(stream: ByteStream, owner: UpstreamOwner) {
    this.#stream = stream;
    this.#owner = owner;
    this.#reader = new H1ResponseReader(owner, this);
  }

  get channel(): string | undefined {
    return this.#stream.uid;
  }

  /** Nothing new on a link that drains: the agent behind it waits for its channels to end. */
  get usable(): boolean {
    const stream = this.#stream;
    return this.#state === IDLE && !this.#ended && !stream.closed && stream.link?.draining !== true;
  }

  /**
   * Starts a request. `head` is complete, with its empty line; `body` is what is
   * already there of the body (framed as the head says), or undefined.
   */
  send(sink: ResponseSink, plan: RequestPlan, head: string, body: Buffer | undefined): boolean {
    this.#sink = sink;
    this.#state = BUSY;
    this.#touched = false;
    this.#reader.begin(plan);
    this.#requestChunked = plan.length < 0;
    this.#requestDone = plan.length === 0;
    if (body === undefined || body.length === 0) {
      return this.#stream.write(Buffer.from(head, 'latin1'));
    }
    if (body.length > JOIN_BYTES) {
      this.#stream.write(Buffer.from(head, 'latin1'));
      return this.#stream.write(body);
    }
    const joined = Buffer.allocUnsafe(head.length + body.length);
    joined.write(head, 0, 'latin1');
    joined.set(body, head.length);
    return this.#stream.write(joined);
  }

  writeBody(chunk: Buffer, raw: boolean): boolean {
    if (this.#state === DEAD || chunk.length === 0) return true;
    if (this.#requestChunked && !raw && this.#state !== UPGRADED) {
      this.#stream.write(Buffer.from(`${chunk.length.toString(16)}\r\n`, 'latin1'));
      this.#stream.write(chunk);
      return this.#stream.write(CRLF);
    }
    return this.#stream.write(chunk);
  }

  endBody(trailers: readonly string[], raw: boolean): void {
    if (this.#requestDone) return;
    this.#requestDone = true;
    if (this.#state === DEAD) return;
    if (this.#requestChunked) {
      if (!raw) this.#stream.write(LAST_CHUNK);
      const tail = trailers.length === 0 ? CRLF : Buffer.from(writeTrailers(trailers), 'latin1');
      this.#stream.write(tail);
    }
    if (this.#state === REQUEST_LEFT) this.#finish();
  }

  endUpgraded(): void {
    if (this.#state === UPGRADED) this.#stream.end();
  }

  resume(): void {
    const owed = this.#owed;
    if (owed === 0) return;
    this.#owed = 0;
    this.#stream.consumed(owed);
  }

  cancel(reason: string): void {
    if (this.#state === DEAD) return;
    this.#sink = undefined;
    this.#die();
    this.#stream.reset('cancelled', reason);
  }

  onData(chunk: Buffer): void {
    const sink = this.#sink;
    if (this.#state === UPGRADED && sink !== undefined) {
      sink.onBody(chunk, false);
      this.#settle(sink, chunk.length);
      return;
    }
    if (sink === undefined || this.#state === IDLE) {
      // Bytes nobody asked for: 408 of a server tired of waiting, or worse.
      this.#stream.consumed(chunk.length);
      if (this.#state === IDLE) this.#discard('The app sent bytes without a request.');
      return;
    }
    this.#touched = true;
    try {
      this.#reader.read(chunk, sink);
    } catch (error) {
      const message = error instanceof HeadError ? error.message : String(error);
      this.#fail(
        new RelayError('upstream-failed', message, { blame: 'app', cause: error }),
        'protocol-error',
      );
      return;
    }
    this.#settle(sink, chunk.length);
  }

  onEnd(): void {
    this.#ended = true;
    switch (this.#state) {
      case IDLE:
        this.#die();
        this.#stream.end();
        break;
      case UPGRADED:
        this.#sink?.onUpgradedEnd();
        break;
      case REQUEST_LEFT:
        this.#refuseRequest();
        break;
      case DEAD:
        this.#stream.end();
        break;
      default:
        if (this.#reader.untilEnd) this.onResponse(NO_TRAILERS, false);
        else this.#fail(closedTooEarly(), 'cancelled');
    }
  }

  onWritable(): void {
    this.#sink?.onRequestWritable();
  }

  onClose(error?: Error): void {
    const state = this.#state;
    const sink = this.#sink;
    if (state === REQUEST_LEFT) {
      this.#refuseRequest();
      return;
    }
    this.#sink = undefined;
    this.#die();
    if (state === IDLE || state === DEAD || sink === undefined) return;
    const failure = error ?? (state === UPGRADED ? undefined : closedTooEarly());
    sink.onFailed(
      failure,
      !this.#touched,
      this.served > 0,
      refusedByDrain(error, this.#stream.opened),
    );
  }

  /** Of the pool: closes an idle connection. */
  close(): void {
    if (this.#state === DEAD) return;
    this.#die();
    this.#stream.reset('cancelled', 'The idle connection is no longer needed.');
  }

  /** Flushes the batch, and says how much of it was handed on. */
  #settle(sink: ResponseSink, bytes: number): void {
    const room = sink.flush();
    if (room || this.#sink !== sink) this.#stream.consumed(bytes);
    else this.#owed += bytes;
  }

  /** Of the reader: 101. */
  onSwitched(head: ResponseHead): void {
    this.#state = UPGRADED;
    this.#sink?.onUpgraded(head);
  }

  /**
   * The response is complete. With `more` bytes behind it the connection is not
   * used again: nobody asked for them. The sink may start its next request on
   * this very connection before this returns.
   */
  onResponse(trailers: readonly string[], more: boolean): void {
    const sink = this.#sink;
    if (sink === undefined) return;
    if (more) {
      // To another client that would be a broken response, or another one. Only
      // a body sent to HEAD against the rules is common and harmless.
      if (!this.#reader.headRequest)
        throw new HeadError(502, 'The app sent more than its response.');
      this.#reader.keepAlive = false;
    }
    if (!this.#requestDone && !this.#ended && this.#reader.keepAlive) {
      this.#state = REQUEST_LEFT;
      sink.onComplete(trailers);
      return;
    }
    const refused = !this.#requestDone;
    this.#finish();
    if (refused) sink.onRequestRefused();
    sink.onComplete(trailers);
    sink.flush();
  }

  #finish(): void {
    this.#sink = undefined;
    this.#resumeAll();
    this.served++;
    if (this.#reader.keepAlive && !this.#ended && this.#requestDone && !this.#stream.closed) {
      this.#state = IDLE;
      this.#owner.release(this);
    } else if (this.#ended && this.#requestDone) {
      this.#die();
      this.#stream.end();
    } else {
      this.#discard('The response is complete.');
    }
  }

  #refuseRequest(): void {
    const sink = this.#sink;
    this.#sink = undefined;
    this.#discard('The app closed the connection after its response.');
    sink?.onRequestRefused();
  }

  #resumeAll(): void {
    if (this.#owed > 0) this.resume();
  }

  #discard(reason: string): void {
    this.#die();
    this.#stream.reset('cancelled', reason);
  }

  #fail(error: Error, code: 'cancelled' | 'protocol-error'): void {
    const sink = this.#sink;
    this.#sink = undefined;
    this.#die();
    this.#stream.reset(code, error.message);
    sink?.onFailed(error, !this.#touched, this.served > 0, false);
  }

  #die(): void {
    if (this.#state === DEAD) return;
    this.#state = DEAD;
    this.#reader.stop();
    this.#owner.forget(this);
  }
}

function closedTooEarly(): RelayError {
  return new RelayError(
    'upstream-failed',
    'The app closed the connection before its response was complete.',
    { blame: 'app' },
  );
}
