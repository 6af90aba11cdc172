/**
 * Apps that speak HTTP/2 without TLS (gRPC servers): `node:http2` client
 * sessions over channels, many requests on one session, with trailers.
 */
import { STATUS_CODES } from 'node:http';
import {
  connect,
  constants,
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from 'node:http2';
import type { Channel } from '@burrow/tunnel';
import { channelToDuplex } from '@burrow/tunnel/node';
import { RelayError } from '../errors.ts';
import {
  NO_TRAILERS,
  refusedByDrain,
  type Exchange,
  type RequestPlan,
  type ResponseSink,
} from './exchange.ts';
import type { ResponseHead } from './h1-response.ts';
import { keptTrailers } from './headers.ts';
import type { Route } from './route.ts';
import type { Bucket } from './upstream-pool.ts';

/** Fields that HTTP/2 forbids (RFC 9113 section 8.2.2). */
const FORBIDDEN = new Set(['host', 'connection', 'transfer-encoding', 'upgrade', 'keep-alive']);

/** One session and the bucket it serves. */
export class H2cSession {
  readonly session: ClientHttp2Session;
  streams = 0;
  served = 0;
  idleSince: number;
  readonly channel: Channel;
  readonly #bucket: Bucket;
  #error: Error | undefined;

  constructor(channel: Channel, bucket: Bucket) {
    this.channel = channel;
    this.#bucket = bucket;
    this.idleSince = bucket.now();
    const duplex = channelToDuplex(channel);
    this.session = connect('http://localhost', {
      createConnection: () => duplex,
      // 1 MiB for each stream; the channel's own window bounds the whole.
      settings: { initialWindowSize: 1 << 20, enablePush: false },
    });
    this.session.on('error', (error) => {
      this.#error ??= error;
    });
    duplex.on('error', (error: Error) => {
      this.#error ??= error;
    });
    this.session.on('goaway', () => this.#leave());
    this.session.on('close', () => {
      this.#leave();
      duplex.destroy();
    });
    bucket.addSession(this);
  }

  /** Why the session ended, better than the streams know. */
  get error(): Error | undefined {
    return this.#error;
  }

  get usable(): boolean {
    return (
      !this.session.closed &&
      !this.session.destroyed &&
      !this.channel.link.draining &&
      this.streams < this.#bucket.limits.streamsPerSession
    );
  }

  /** As `UpstreamPool.take`: one that idles may be ended by the app at this very moment. */
  takes(repeatable: boolean): boolean {
    if (!this.usable) return false;
    if (repeatable || this.streams > 0) return true;
    return this.#bucket.now() - this.idleSince <= this.#bucket.limits.unsafeIdleMs;
  }

  /** A stream has ended. */
  left(): void {
    this.streams--;
    this.served++;
    this.idleSince = this.#bucket.now();
  }

  sweep(oldest: number): void {
    if (this.streams > 0) return;
    if (this.idleSince <= oldest || this.channel.link.draining) this.close();
  }

  close(): void {
    this.#leave();
    this.session.destroy();
  }

  #leave(): void {
    const index = this.#bucket.sessions.indexOf(this);
    if (index !== -1) this.#bucket.sessions.splice(index, 1);
  }
}

/** Sends a request; undefined: no link. `framing` holds Content-Length, if any. */
export function beginH2c(
  route: Route,
  sink: ResponseSink,
  plan: RequestPlan,
  target: string,
  framing: string,
  body: Buffer | undefined,
  repeatable: boolean,
  fresh: boolean,
  open: () => Channel | undefined,
): Exchange | undefined {
  let session = fresh ? undefined : route.bucket.sessions.find((known) => known.takes(repeatable));
  if (session === undefined) {
    const channel = open();
    if (channel === undefined) return undefined;
    session = new H2cSession(channel, route.bucket);
  }
  const headers = h2Headers(plan.method, target, route.lines + framing);
  const stream = session.session.request(headers, {
    endStream: plan.length === 0,
    waitForTrailers: plan.length !== 0,
  });
  const exchange = new H2cExchange(session, stream, sink, plan.length === 0);
  if (body !== undefined && body.length > 0) exchange.writeBody(body);
  return exchange;
}

function h2Headers(method: string, target: string, lines: string): OutgoingHttpHeaders {
  const headers: OutgoingHttpHeaders = Object.create(null) as OutgoingHttpHeaders;
  headers[':method'] = method;
  headers[':path'] = target;
  headers[':scheme'] = 'http';
  for (const line of lines.split('\r\n')) {
    if (line === '') continue;
    const colon = line.indexOf(':');
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 2);
    if (name === 'host') headers[':authority'] = value;
    if (FORBIDDEN.has(name)) continue;
    const before = headers[name];
    if (before === undefined) headers[name] = value;
    else if (Array.isArray(before)) before.push(value);
    else
      headers[name] = name === 'cookie' ? `${String(before)}; ${value}` : [String(before), value];
  }
  return headers;
}

class H2cExchange implements Exchange {
  readonly rawChunks = false;
  readonly channel: string;
  readonly #session: H2cSession;
  readonly #stream: ClientHttp2Stream;
  #sink: ResponseSink | undefined;
  #touched = false;
  #requestDone: boolean;
  #responseDone = false;
  #trailers: readonly string[] = NO_TRAILERS;

  constructor(
    session: H2cSession,
    stream: ClientHttp2Stream,
    sink: ResponseSink,
    requestDone: boolean,
  ) {
    this.channel = session.channel.uid;
    this.#session = session;
    this.#stream = stream;
    this.#sink = sink;
    this.#requestDone = requestDone;
    session.streams++;
    stream.on('headers', (headers, _flags, raw?: string[]) => {
      this.#sink?.onInformational(headOf(headers, raw));
      this.#sink?.flush();
    });
    stream.on('response', (headers, flags, raw?: string[]) => {
      this.#touched = true;
      const head = headOf(headers, raw);
      const none =
        head.status === 204 || head.status === 304 || stream.sentHeaders[':method'] === 'HEAD';
      this.#sink?.onHead(head, none ? 'none' : head.framing === 'length' ? 'length' : 'chunked');
      if ((flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0) this.#complete();
      else this.#sink?.flush();
      // Not before: node:http2 announces the head a tick later than it gives out data.
      stream.on('data', (chunk: Buffer) => this.#onData(chunk));
    });
    stream.on('trailers', (headers, _flags, raw?: string[]) => {
      this.#trailers = keptTrailers(raw ?? flatten(headers));
    });
    stream.on('drain', () => this.#sink?.onRequestWritable());
    stream.on('end', () => this.#onEnd());
    stream.on('error', () => {});
    stream.on('close', () => this.#onClose());
  }

  writeBody(chunk: Buffer): boolean {
    if (this.#stream.destroyed || this.#stream.writableEnded) return true;
    return this.#stream.write(chunk);
  }

  endBody(trailers: readonly string[]): void {
    if (this.#requestDone) return;
    this.#requestDone = true;
    const stream = this.#stream;
    if (stream.destroyed) return;
    const kept = keptTrailers(trailers);
    stream.once('wantTrailers', () => {
      if (!stream.destroyed) stream.sendTrailers(asObject(kept));
    });
    stream.end();
  }

  endUpgraded(): void {}

  resume(): void {
    this.#stream.resume();
  }

  cancel(_reason: string): void {
    this.#sink = undefined;
    this.#stream.close(constants.NGHTTP2_CANCEL);
  }

  #onData(chunk: Buffer): void {
    const sink = this.#sink;
    if (sink === undefined) return;
    sink.onBody(chunk, false);
    if (!sink.flush()) this.#stream.pause();
  }

  #onEnd(): void {
    // A reset stream ends too; only a proper end leaves code 0.
    if (this.#touched && this.#stream.rstCode === constants.NGHTTP2_NO_ERROR) this.#complete();
  }

  #complete(): void {
    const sink = this.#sink;
    if (sink === undefined || this.#responseDone) return;
    this.#responseDone = true;
    if (this.#requestDone) this.#sink = undefined;
    sink.onComplete(this.#trailers);
    sink.flush();
  }

  #onClose(): void {
    this.#session.left();
    const sink = this.#sink;
    if (sink === undefined) return;
    this.#sink = undefined;
    if (this.#responseDone) {
      sink.onRequestRefused();
      return;
    }
    const error =
      this.#session.error ??
      new RelayError(
        'upstream-failed',
        `The app ended the HTTP/2 stream before its response was complete (code ${this.#stream.rstCode ?? 0}).`,
        { blame: 'app' },
      );
    sink.onFailed(
      error,
      !this.#touched,
      this.#session.served > 1,
      refusedByDrain(error, this.#session.channel.opened),
    );
  }
}

function headOf(headers: IncomingHttpHeaders, raw: readonly string[] | undefined): ResponseHead {
  const all = raw ?? flatten(headers);
  const pairs: string[] = [];
  let length = -1;
  for (let i = 0; i + 1 < all.length; i += 2) {
    const name = all[i] as string;
    if (name.startsWith(':')) continue;
    if (name === 'content-length') length = Number(all[i + 1]);
    pairs.push(name, all[i + 1] as string);
  }
  const status = Number(headers[':status'] ?? 502);
  return {
    status,
    // HTTP/2 has none; HTTP/1 clients get the usual words.
    reason: STATUS_CODES[status] ?? '',
    headers: pairs,
    framing: length >= 0 ? 'length' : 'chunked',
    length: Math.max(0, length),
    keepAlive: true,
    connection: [],
  };
}

function asObject(pairs: readonly string[]): OutgoingHttpHeaders {
  const headers: OutgoingHttpHeaders = {};
  for (let i = 0; i + 1 < pairs.length; i += 2) {
    headers[(pairs[i] as string).toLowerCase()] = pairs[i + 1] as string;
  }
  return headers;
}

function flatten(headers: IncomingHttpHeaders): string[] {
  const pairs: string[] = [];
  for (const [name, value] of Object.entries(headers)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== undefined) pairs.push(name, String(one));
    }
  }
  return pairs;
}
