/**
 * Reads the responses on one HTTP/1.1 connection, one after the other, strictly: what
 * another client could read differently is a HeadError.
 */
import { NO_TRAILERS, type RequestPlan, type ResponseSink } from './exchange.ts';
import { ChunkedReader } from './h1-chunked.ts';
import { HeadError, findHeadEnd, resumeAt } from './h1-head.ts';
import { parseResponseHead, type ResponseHead } from './h1-response.ts';
import type { HttpLimits } from './limits.ts';

/** What connections to one app share. */
export interface ResponseHeads {
  readonly limits: HttpLimits;
  /** The last head that came through them, for byte-identical ones. */
  lastHeadText: string;
  lastHead: ResponseHead | undefined;
}

export interface ResponseEvents {
  /** 101: what follows is no HTTP. */
  onSwitched(head: ResponseHead): void;
  /** `more`: bytes came behind it. The next response may be begun before this returns. */
  onResponse(trailers: readonly string[], more: boolean): void;
}

/** No response is being read. */
const NONE = 0;
const HEAD = 1;
const LENGTH = 2;
const CHUNKED = 3;
const CLOSE = 4;
const SWITCHED = 5;
/** The response is complete, the request may not be. */
const DONE = 6;

export class H1ResponseReader {
  /** The connection may be used again, as far as the responses say. */
  keepAlive = true;
  /** It answers HEAD. */
  headRequest = false;
  readonly #heads: ResponseHeads;
  readonly #events: ResponseEvents;
  #state = NONE;
  #upgradeRequest = false;
  #pending: Buffer | undefined;
  #scanned = 0;
  #remaining = 0;
  #chunks: ChunkedReader | undefined;

  constructor(heads: ResponseHeads, events: ResponseEvents) {
    this.#heads = heads;
    this.#events = events;
  }

  /** The body ends with the connection. */
  get untilEnd(): boolean {
    return this.#state === CLOSE;
  }

  /** The response to this request comes next. */
  begin(plan: RequestPlan): void {
    this.#state = HEAD;
    this.keepAlive = true;
    this.headRequest = plan.method === 'HEAD';
    this.#upgradeRequest = plan.upgrade;
  }

  /** Nobody wants the rest of it. */
  stop(): void {
    this.#state = NONE;
    this.#pending = undefined;
  }

  read(chunk: Buffer, sink: ResponseSink): void {
    let buffer = chunk;
    let position = 0;
    while (this.#state !== NONE) {
      if (this.#state === HEAD) {
        if (this.#pending !== undefined) {
          buffer = Buffer.concat([this.#pending, buffer]);
          this.#pending = undefined;
        }
        const end = findHeadEnd(buffer, position, Math.max(position, this.#scanned));
        if ((end === -1 ? buffer.length : end) - position > this.#heads.limits.headBytes) {
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
        this.#done(NO_TRAILERS, position < buffer.length);
        return;
      }
      if (position >= buffer.length) return;
      switch (this.#state) {
        case LENGTH: {
          const take = Math.min(this.#remaining, buffer.length - position);
          if (take > 0) sink.onBody(buffer.subarray(position, position + take), false);
          position += take;
          this.#remaining -= take;
          if (this.#remaining === 0) this.#done(NO_TRAILERS, position < buffer.length);
          return;
        }
        case CHUNKED:
          this.#readChunked(buffer, position, sink);
          return;
        case DONE:
          // Whatever they are, nobody asked for them.
          this.keepAlive = false;
          return;
        default:
          sink.onBody(position === 0 ? buffer : buffer.subarray(position), false);
          return;
      }
    }
  }

  #parse(text: string): ResponseHead {
    const heads = this.#heads;
    if (text === heads.lastHeadText && heads.lastHead !== undefined) return heads.lastHead;
    const head = parseResponseHead(text, heads.limits);
    heads.lastHeadText = text;
    heads.lastHead = head;
    return head;
  }

  /** False: the response is complete with its head. */
  #startBody(head: ResponseHead, sink: ResponseSink): boolean {
    const status = head.status;
    if (status < 200) {
      this.#interim(head, sink);
      return true;
    }
    // What was asked to upgrade may take the next request's bytes for the new protocol.
    if (!head.keepAlive || this.#upgradeRequest) this.keepAlive = false;
    if (this.headRequest || status === 204 || status === 304) {
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
      this.#chunks ??= new ChunkedReader(this.#heads.limits, 502);
      this.#chunks.reset();
      this.#state = CHUNKED;
      sink.onHead(head, 'chunked');
    } else {
      this.keepAlive = false;
      this.#state = CLOSE;
      sink.onHead(head, 'close');
    }
    return this.#state !== LENGTH || this.#remaining > 0;
  }

  #interim(head: ResponseHead, sink: ResponseSink): void {
    if (head.status === 101) {
      if (!this.#upgradeRequest || head.framing !== 'close') {
        throw new HeadError(502, 'The app switched protocols without being asked.');
      }
      this.#state = SWITCHED;
      this.#events.onSwitched(head);
      return;
    }
    if (head.framing !== 'close') {
      throw new HeadError(502, 'The app announced a body for an informational response.');
    }
    sink.onInformational(head);
  }

  #done(trailers: readonly string[], more: boolean): void {
    this.#state = DONE;
    this.#events.onResponse(trailers, more);
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
      if (chunks.done) this.#done(chunks.trailers, position < buffer.length);
    }
  }
}
