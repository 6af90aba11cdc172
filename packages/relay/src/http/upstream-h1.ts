/**
 * An HTTP/1.1 client on one byte stream, one request at a time: the `Exchange`
 * of `http` and `https` ports and of the control server. Reads responses
 * strictly; what another client could read differently fails the exchange.
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
import { ChunkedReader } from './h1-chunked.ts';
import { HeadError, findHeadEnd, resumeAt } from './h1-head.ts';
import { parseResponseHead, type ResponseHead } from './h1-response.ts';
import { writeTrailers } from './headers.ts';
import type { HttpLimits } from './limits.ts';

/** Who gets the connection back. */
export interface UpstreamOwner {
  readonly limits: HttpLimits;
  /** The last head that came through this owner's connections, for byte-identical ones. */
  lastHeadText: string;
  lastHead: ResponseHead | undefined;
  /** The connection can take another request. */
  release(upstream: H1Upstream): void;
  /** It cannot; it has ended or is ending. */
  forget(upstream: H1Upstream): void;
}

const IDLE = 0;
const HEAD = 1;
const LENGTH = 2;
const CHUNKED = 3;
const CLOSE = 4;
const UPGRADED = 5;
/** The response is complete, the request is not. */
const REQUEST_LEFT = 6;
const DEAD = 7;

const LAST_CHUNK = Buffer.from('0\r\n');
const CRLF = Buffer.from('\r\n');
/** A body piece up to this size is copied behind its head, so that both are one frame. */
const JOIN_BYTES = 16 * 1024;

export class H1Upstream implements Exchange, ByteStreamHandler {
  readonly rawChunks = true;
  /** `performance.now()` of the last release. */
  idleSince = 0;
  /** Requests served; over 0, a failure without a byte may be the stale-connection race. */
  served = 0;

  readonly #stream: ByteStream;
  readonly #owner: UpstreamOwner;
  #sink: ResponseSink | undefined;
  #state = IDLE;
  #pending: Buffer | undefined;
  #scanned = 0;
  #remaining = 0;
  #chunks: ChunkedReader | undefined;
  #owed = 0;
  #keepAlive = true;
  #ended = false;
  #touched = false;
  #requestDone = true;
  #requestChunked = false;
  #headRequest = false;
  #upgradeRequest = false;

  constructor(stream: ByteStream, owner: UpstreamOwner) {
    this.#stream = stream;
    this.#owner = owner;
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
    this.#state = HEAD;
    this.#touched = false;
    this.#keepAlive = true;
    this.#headRequest = plan.method === 'HEAD';
    this.#upgradeRequest = plan.upgrade;
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
      this.#read(chunk, sink);
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
      case CLOSE:
        this.#complete(NO_TRAILERS, false);
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
        this.#fail(
          new RelayError(
            'upstream-failed',
            'The app closed the connection before its response was complete.',
            {
              blame: 'app',
            },
          ),
          'cancelled',
        );
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
    const failure =
      error ??
      (state === UPGRADED
        ? undefined
        : new RelayError(
            'upstream-failed',
            'The app closed the connection before its response was complete.',
            {
              blame: 'app',
            },
          ));
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

  #read(chunk: Buffer, sink: ResponseSink): void {
    let buffer = chunk;
    let position = 0;
    while (this.#sink === sink) {
      if (this.#state === HEAD) {
        if (this.#pending !== undefined) {
          buffer = Buffer.concat([this.#pending, buffer]);
          this.#pending = undefined;
        }
        const end = findHeadEnd(buffer, position, Math.max(position, this.#scanned));
        if ((end === -1 ? buffer.length : end) - position > this.#owner.limits.headBytes) {
          throw new HeadError(502, 'The head of the response is too large.');
        }
        if (end === -1) {
          this.#pending = position === 0 ? buffer : buffer.subarray(position);
          this.#scanned = resumeAt(this.#pending, 0);
          return;
        }
        this.#scanned = 0;
        const head = this.#parse(buffer.toString('latin1', position, end - 2));
        position = end;
        if (this.#startBody(head, sink)) continue;
        this.#complete(NO_TRAILERS, position < buffer.length);
        return;
      }
      if (position >= buffer.length) {
        return;
      }
      switch (this.#state) {
        case LENGTH: {
          const take = Math.min(this.#remaining, buffer.length - position);
          if (take > 0) sink.onBody(buffer.subarray(position, position + take), false);
          position += take;
          this.#remaining -= take;
          if (this.#remaining === 0) this.#complete(NO_TRAILERS, position < buffer.length);
          return;
        }
        case CLOSE:
        case UPGRADED:
          sink.onBody(position === 0 ? buffer : buffer.subarray(position), false);
          return;
        case CHUNKED:
          this.#readChunked(buffer, position, sink);
          return;
        default:
          // Bytes behind a complete response: whatever they are, nobody asked for them.
          this.#keepAlive = false;
          return;
      }
    }
  }

  #parse(text: string): ResponseHead {
    const owner = this.#owner;
    if (text === owner.lastHeadText && owner.lastHead !== undefined) return owner.lastHead;
    const head = parseResponseHead(text, owner.limits);
    owner.lastHeadText = text;
    owner.lastHead = head;
    return head;
  }

  /** False: the response is complete with its head. */
  #startBody(head: ResponseHead, sink: ResponseSink): boolean {
    const status = head.status;
    if (status < 200) {
      if (status === 101) {
        if (!this.#upgradeRequest || head.framing !== 'close') {
          throw new HeadError(502, 'The app switched protocols without being asked.');
        }
        this.#state = UPGRADED;
        sink.onUpgraded(head);
        return true;
      }
      if (head.framing !== 'close') {
        throw new HeadError(502, 'The app announced a body for an informational response.');
      }
      sink.onInformational(head);
      return true;
    }
    // What was asked to upgrade may take the next request's bytes for the new protocol.
    if (!head.keepAlive || this.#upgradeRequest) this.#keepAlive = false;
    if (this.#headRequest || status === 204 || status === 304) {
      if (status === 204 && head.framing === 'chunked') {
        throw new HeadError(502, 'The app announced a body for 204 No Content.');
      }
      this.#remaining = 0;
      this.#state = LENGTH;
      sink.onHead(head, 'none');
    } else if (head.framing === 'length') {
      this.#remaining = head.length;
      this.#state = LENGTH;
      sink.onHead(head, 'length');
    } else if (head.framing === 'chunked') {
      this.#chunks ??= new ChunkedReader(this.#owner.limits, 502);
      this.#chunks.reset();
      this.#state = CHUNKED;
      sink.onHead(head, 'chunked');
    } else {
      this.#keepAlive = false;
      this.#state = CLOSE;
      sink.onHead(head, 'close');
    }
    return this.#state !== LENGTH || this.#remaining > 0;
  }

  #readChunked(buffer: Buffer, start: number, sink: ResponseSink): void {
    const chunks = this.#chunks as ChunkedReader;
    let position = start;
    if (sink.rawChunks) {
      while (position < buffer.length && !chunks.inTrailers)
        position = chunks.next(buffer, position);
      if (position > start) {
        const whole = start === 0 && position === buffer.length;
        sink.onBody(whole ? buffer : buffer.subarray(start, position), true);
      }
    } else {
      while (position < buffer.length && !chunks.inTrailers) {
        position = chunks.next(buffer, position);
        if (chunks.dataEnd > chunks.dataStart) {
          sink.onBody(buffer.subarray(chunks.dataStart, chunks.dataEnd), false);
        }
      }
    }
    if (chunks.inTrailers) {
      position = chunks.readTrailers(buffer, position);
      if (chunks.done) this.#complete(chunks.trailers, position < buffer.length);
    }
  }

  /**
   * The response is complete. With `more` bytes behind it the connection is not
   * used again: nobody asked for them. The sink may start its next request on
   * this very connection before this returns.
   */
  #complete(trailers: readonly string[], more: boolean): void {
    const sink = this.#sink as ResponseSink;
    if (more) {
      // To another client that would be a broken response, or another one. Only
      // a body sent to HEAD against the rules is common and harmless.
      if (!this.#headRequest) throw new HeadError(502, 'The app sent more than its response.');
      this.#keepAlive = false;
    }
    if (!this.#requestDone && !this.#ended && this.#keepAlive) {
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
    if (this.#keepAlive && !this.#ended && this.#requestDone && !this.#stream.closed) {
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
    this.#pending = undefined;
    this.#owner.forget(this);
  }
}
