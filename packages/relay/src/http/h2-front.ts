/**
 * The server's side of one HTTP/2 request: an `H2Request` is the sink of one
 * exchange with any upstream. Extended CONNECT (RFC 8441) becomes an HTTP/1.1
 * upgrade of the app's.
 */
import { createHash, randomBytes } from 'node:crypto';
import { constants, type OutgoingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import { RelayError } from '../errors.ts';
import { clientOf } from '../listen/forwarded.ts';
import { AccessWatch, WATCH_AFTER_MS, logLost } from './access-watch.ts';
import { lookup } from './characters.ts';
import type { ConnectionInfo, Engine, FrontConnection } from './engine.ts';
import { NO_TRAILERS, type Exchange, type ResponseBody, type ResponseSink } from './exchange.ts';
import { failureAnswer } from './failure-answer.ts';
import type { Decision, LocalResponse, RequestHead } from './gate-policy.ts';
import { HeadError } from './h1-head.ts';
import type { ResponseHead } from './h1-response.ts';
import { asHeaders } from './h2-headers.ts';
import { parseH2Head, type H2Head } from './h2-request.ts';
import { keptTrailers, responsePairs } from './headers.ts';
import { PlainRequestHead, nextRequestId } from './request-head.ts';
import type { Route } from './route.ts';
import { SlowReader } from './slow-reader.ts';
import { GOING_AWAY, POLICY_VIOLATION, WebSocketPassage } from './ws-passage.ts';
import { ACCESS_GONE, RESTARTING } from './ws-reasons.ts';

const WEBSOCKET_GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/** Date is the app's own, or there is none: as over HTTP/1. Not among the options' types. */
const NO_DATE = { sendDate: false };

export class H2Request implements ResponseSink, FrontConnection {
  readonly rawChunks = false;
  readonly idle = false;
  readonly #engine: Engine;
  readonly #stream: ServerHttp2Stream;
  readonly #info: ConnectionInfo;
  readonly #started: number;
  readonly #id = nextRequestId();
  #head: H2Head | undefined;
  #request: RequestHead | undefined;
  #route: Route | undefined;
  /** Only while it owes us something: its connection may serve others afterwards. */
  #exchange: Exchange | undefined;
  /** For the log. */
  #channel: string | undefined;
  #waiting: AbortController | undefined;
  #watch: AccessWatch | undefined;
  #reader: SlowReader | undefined;
  /** Bytes of the response's body given to the stream. */
  #written = 0;
  #webSocketKey: string | undefined;
  #upgraded = false;
  #webSocket: WebSocketPassage | undefined;
  /** An ended WebSocket's client may answer until then. */
  #leaveBy = Number.POSITIVE_INFINITY;
  #bodyDone: boolean;
  readonly #hasBody: boolean;
  #bodyPiped = false;
  /** The body so far, while it is small and no answer has come; undefined: some of it is gone. */
  #given: Buffer[] | undefined = [];
  #givenBytes = 0;
  /** Bytes of the body came since the last tick. */
  #bodyMoved = false;
  #bodyDeadline = 0;
  #requestTrailers: readonly string[] = NO_TRAILERS;
  #headSent = false;
  #responseDone = false;
  /** Neither side has anything more to say. */
  #finished = false;
  #retried = false;
  #withTrailers = false;
  #bodiless = false;
  #pending: ResponseHead | undefined;
  #trailers: readonly string[] = NO_TRAILERS;

  constructor(
    engine: Engine,
    stream: ServerHttp2Stream,
    rawHeaders: readonly string[],
    info: ConnectionInfo,
  ) {
    this.#engine = engine;
    this.#stream = stream;
    this.#info = info;
    this.#started = engine.now();
    this.#bodyDone = stream.endAfterHeaders;
    this.#hasBody = !this.#bodyDone;
    engine.connections.add(this);
    engine.deps.metrics?.onRequest();
    stream.on('error', () => {});
    stream.on('aborted', () => stream.close(constants.NGHTTP2_CANCEL));
    stream.on('close', () => this.#onClose());
    stream.on('drain', () => this.#exchange?.resume());
    try {
      this.#head = parseH2Head(rawHeaders, engine.limits);
    } catch (error) {
      this.#refuse(error instanceof HeadError ? error : new HeadError(400, String(error)));
      return;
    }
    this.#decide(this.#head);
  }

  tick(now: number): void {
    if (now >= this.#leaveBy) return this.destroy('timed out');
    if (this.#upgraded || now - this.#started >= WATCH_AFTER_MS) this.#lookAtAccess();
    if (!this.#bodyDone && !this.#upgraded) this.#lookAtBody(now);
    if (this.#stream.writableLength > 0) this.#lookAtReader(now);
    else this.#reader = undefined;
  }

  #lookAtReader(now: number): void {
    const accepted = this.#written - this.#stream.writableLength;
    this.#reader ??= new SlowReader();
    if (!this.#reader.stopped(accepted, now, this.#engine.limits.readerIdleMs)) return;
    this.destroy('the client takes nothing');
    // The reset may never leave, on a connection that is full.
    this.#stream.destroy();
  }

  /** A gRPC call may wait for its client for hours before either side says more. */
  #lookAtBody(now: number): void {
    const decision = this.#route?.decision;
    const excused =
      this.#finished ||
      this.#exchange === undefined ||
      (this.#headSent && !this.#responseDone) ||
      this.#stream.isPaused() ||
      (decision?.kind === 'app' && decision.policy.protocol === 'h2c');
    if (this.#bodyMoved || excused || this.#bodyDeadline === 0) {
      this.#bodyMoved = false;
      this.#bodyDeadline = now + this.#engine.limits.bodyIdleMs;
    } else if (now >= this.#bodyDeadline) {
      const exchange = this.#exchange;
      this.#exchange = undefined;
      exchange?.cancel('The request body stopped.');
      if (this.#responseDone) this.onRequestRefused();
      else this.#refuse(new HeadError(408, 'The rest of the request body did not arrive in time.'));
    }
  }

  #lookAtAccess(): void {
    const decision = this.#route?.decision;
    if (this.#finished || this.#exchange === undefined || decision?.kind !== 'app') return;
    this.#watch ??= new AccessWatch(
      this.#engine.deps.policy,
      this.#request as RequestHead,
      decision,
      (now) => {
        if (!this.#finished && this.#exchange !== undefined) this.#accessLost(now);
      },
    );
    this.#watch.look();
  }

  #accessLost(decision: Decision): void {
    const exchange = this.#exchange;
    this.#exchange = undefined;
    this.#pending = undefined;
    exchange?.cancel('Access was taken away.');
    logLost(this.#engine.deps.log, this.#request as RequestHead, decision, this.#channel);
    if (!this.#headSent && decision.kind === 'respond') this.#respond(decision.response, 'local');
    else if (this.#webSocket?.cut(POLICY_VIOLATION, ACCESS_GONE) === true) this.#boundLeaving();
    else this.destroy('access was taken away');
  }

  drain(): void {}

  leave(): boolean {
    if (this.#finished || this.#webSocket?.leave(GOING_AWAY, RESTARTING) !== true) return false;
    this.#boundLeaving();
    return true;
  }

  #boundLeaving(): void {
    this.#leaveBy = this.#engine.now() + this.#engine.limits.webSocketCloseMs;
  }

  destroy(_reason: string): void {
    if (!this.#stream.destroyed) this.#stream.close(constants.NGHTTP2_CANCEL);
    this.#onClose();
  }

  #onClose(): void {
    if (!this.#engine.connections.delete(this)) return;
    this.#waiting?.abort(
      new RelayError('bad-request', 'The client reset the request.', { blame: 'client' }),
    );
    const exchange = this.#exchange;
    this.#exchange = undefined;
    if (this.#finished) return;
    this.#finished = true;
    exchange?.cancel('The client reset the request.');
    if (!this.#headSent) this.#engine.done('aborted', 0, this.#started);
  }

  // The request

  #decide(head: H2Head): void {
    const client = this.#info.trustedProxy
      ? clientOf(
          this.#info,
          lookup(head.headers, 'x-forwarded-for'),
          lookup(head.headers, 'x-forwarded-proto'),
          this.#engine.deps.trusted,
        )
      : this.#info;
    this.#request = new PlainRequestHead({
      method: head.method,
      target: head.target,
      authority: head.authority,
      headers: ['host', head.authority, ...head.headers],
      secure: client.secure,
      remoteAddress: client.remoteAddress,
      upgrade: head.protocol,
      httpVersion: '2',
      id: this.#id,
    });
    try {
      const decision = this.#engine.deps.policy.decide(this.#request);
      if (!(decision instanceof Promise)) {
        this.#decided(decision);
        return;
      }
      decision.then(
        (made) => this.#decided(made),
        (error: unknown) => this.#failed(error),
      );
    } catch (error) {
      this.#failed(error);
    }
  }

  #decided(decision: Decision): void {
    if (this.#finished || this.#stream.destroyed) return;
    if (decision.kind === 'respond') {
      this.#respond(decision.response, 'local');
      return;
    }
    const head = this.#head as H2Head;
    const trusted = this.#info.trustedProxy;
    try {
      this.#route = this.#engine.routes.prepare(decision, {
        headers: head.headers,
        connection: [],
        upgrade: head.protocol,
        by: {
          peerAddress: this.#info.remoteAddress,
          forwardedFor: trusted ? lookup(head.headers, 'x-forwarded-for') : undefined,
          forwarded: trusted ? lookup(head.headers, 'forwarded') : undefined,
          secure: (this.#request as RequestHead).secure,
          authority: head.authority,
        },
      });
    } catch (error) {
      this.#failed(error);
      return;
    }
    this.#begin(false);
  }

  #begin(fresh: boolean): void {
    const head = this.#head as H2Head;
    const route = this.#route as Route;
    const upgrade = head.protocol !== undefined;
    // An upgrade has no body; its DATA frames come after the 101.
    const length = upgrade || !this.#hasBody ? 0 : head.length;
    let framing = '';
    if (length === -1) framing = 'Transfer-Encoding: chunked\r\n';
    if (head.protocol === 'websocket') {
      this.#webSocketKey = randomBytes(16).toString('base64');
      framing += `Sec-WebSocket-Key: ${this.#webSocketKey}\r\n`;
    }
    let exchange: Exchange | undefined;
    try {
      exchange = this.#engine.routes.begin(
        route,
        this,
        { method: head.method, length, upgrade },
        head.target,
        framing,
        undefined,
        this.#repeatable(),
        fresh,
      );
    } catch (error) {
      this.#failed(error);
      return;
    }
    if (exchange === undefined) {
      if (this.#bodyPiped) this.#stream.pause();
      this.#waitForLink(route);
      return;
    }
    this.#exchange = exchange;
    this.#channel = exchange.channel;
    if (upgrade) return;
    if (this.#bodyPiped) this.#giveAgain(exchange);
    else this.#pipeBody();
  }

  #waitForLink(route: Route): void {
    const waiting = (this.#waiting = new AbortController());
    this.#engine.routes.waitForLink(route.decision, waiting.signal).then(
      () => {
        if (!this.#finished) this.#begin(true);
      },
      (error: unknown) => {
        if (!this.#finished) this.#failed(error);
      },
    );
  }

  #giveAgain(exchange: Exchange): void {
    for (const chunk of this.#given ?? []) exchange.writeBody(chunk, false);
    if (this.#bodyDone && this.#hasBody) exchange.endBody(this.#requestTrailers, false);
    this.#stream.resume();
  }

  /** For a second try, should the first one reach nobody. */
  #remember(chunk: Buffer): void {
    if (this.#given === undefined) return;
    this.#givenBytes += chunk.length;
    const drop = this.#headSent || this.#upgraded;
    if (drop || this.#givenBytes > this.#engine.limits.heldBytes) this.#given = undefined;
    else this.#given.push(chunk);
  }

  #pipeBody(): void {
    if (this.#bodyPiped) return;
    this.#bodyPiped = true;
    const stream = this.#stream;
    if (this.#bodyDone) {
      stream.resume();
      return;
    }
    stream.on('trailers', (headers, _flags, raw?: string[]) => {
      this.#requestTrailers =
        raw ?? Object.entries(headers).flatMap(([name, value]) => [name, String(value)]);
    });
    stream.on('data', (chunk: Buffer) => {
      this.#bodyMoved = true;
      this.#remember(chunk);
      const passed = this.#webSocket === undefined ? chunk : this.#webSocket.fromClient(chunk);
      if (passed === undefined) return;
      if (this.#exchange?.writeBody(passed, false) === false) stream.pause();
    });
    stream.on('end', () => {
      if (stream.aborted) return;
      this.#bodyDone = true;
      if (this.#upgraded) this.#exchange?.endUpgraded();
      else this.#exchange?.endBody(this.#requestTrailers, false);
      if (this.#responseDone) this.#finish();
    });
  }

  #finish(): void {
    this.#exchange = undefined;
    this.#finished = true;
  }

  #repeatable(): boolean {
    const head = this.#head as H2Head;
    return (
      (head.method === 'GET' || head.method === 'HEAD' || head.method === 'OPTIONS') &&
      !this.#hasBody &&
      head.protocol === undefined
    );
  }

  // ResponseSink

  onInformational(head: ResponseHead): void {
    if (this.#stream.headersSent || this.#stream.destroyed) return;
    this.#guard(() => this.#stream.additionalHeaders(this.#headers(head)));
  }

  /**
   * Waits for the rest of its batch: a response without a body must end with its
   * head (gRPC tells its "trailers only" answers by that).
   */
  onHead(head: ResponseHead, body: ResponseBody): void {
    const decision = (this.#route as Route).decision;
    const h2c = decision.kind === 'app' && decision.policy.protocol === 'h2c';
    this.#bodiless = body === 'none';
    this.#withTrailers = !this.#bodiless && (body !== 'length' || h2c);
    this.#pending = head;
  }

  #sendPending(complete: boolean): void {
    const head = this.#pending;
    if (head === undefined) return;
    this.#pending = undefined;
    const endStream = this.#bodiless || (complete && this.#trailers.length === 0);
    if (endStream) this.#withTrailers = false;
    this.#guard(() => this.#send(head.status, this.#headers(head), endStream));
  }

  onBody(chunk: Buffer): void {
    this.#sendPending(false);
    const passed = this.#webSocket === undefined ? chunk : this.#webSocket.fromApp(chunk);
    if (passed !== undefined) this.#write(passed);
  }

  #write(chunk: Buffer): void {
    if (this.#stream.destroyed || this.#stream.writableEnded) return;
    this.#written += chunk.length;
    this.#stream.write(chunk);
  }

  onComplete(trailers: readonly string[]): void {
    this.#trailers = keptTrailers(trailers);
    this.#sendPending(true);
    this.#responseDone = true;
    if (!this.#stream.destroyed && !this.#stream.writableEnded) this.#stream.end();
    // A refused upgrade had no body; its client's half is still open.
    if (this.#head?.protocol !== undefined) this.onRequestRefused();
    else if (this.#bodyDone) this.#finish();
  }

  flush(): boolean {
    this.#sendPending(false);
    return !this.#stream.writableNeedDrain;
  }

  onUpgraded(head: ResponseHead): void {
    const key = this.#webSocketKey;
    if (key !== undefined) {
      const expected = createHash('sha1')
        .update(key + WEBSOCKET_GUID)
        .digest('base64');
      if (lookup(head.headers, 'sec-websocket-accept') !== expected) {
        this.#exchange?.cancel('The app answered the WebSocket handshake wrongly.');
        this.#exchange = undefined;
        this.#failed(
          new RelayError('upstream-failed', 'The app answered the WebSocket handshake wrongly.', {
            blame: 'app',
          }),
        );
        return;
      }
    }
    this.#upgraded = true;
    const headers = this.#headers(head);
    delete headers['sec-websocket-accept'];
    this.#send(200, headers, false);
    if (key !== undefined) this.#webSocket = this.#passage();
    this.#pipeBody();
  }

  #passage(): WebSocketPassage {
    return new WebSocketPassage({
      toClient: (frame) => {
        this.#write(frame);
        this.#stream.resume();
      },
      toApp: (frame) => void this.#exchange?.writeBody(frame, false),
      onDone: () => {
        this.#exchange?.endUpgraded();
        if (!this.#stream.destroyed) this.#stream.end();
      },
    });
  }

  onUpgradedEnd(): void {
    this.#stream.end();
  }

  onRequestWritable(): void {
    this.#stream.resume();
  }

  onRequestRefused(): void {
    // The response is complete: the client need not send the rest (RFC 9113 section 8.1).
    this.#finish();
    const stream = this.#stream;
    stream.resume();
    if (stream.destroyed) return;
    const stop = (): void => stream.close(constants.NGHTTP2_NO_ERROR);
    if (stream.writableFinished) stop();
    else stream.once('finish', stop);
  }

  onFailed(error: Error | undefined, untouched: boolean, stale: boolean, unsent: boolean): void {
    this.#exchange = undefined;
    this.#pending = undefined;
    if (this.#upgraded && (error === undefined || this.#webSocket?.clientTold === true)) {
      this.#finished = true;
      this.#stream.end();
    } else if (this.#headSent) {
      this.#finished = true;
      this.#stream.close(constants.NGHTTP2_INTERNAL_ERROR);
    } else if (
      untouched &&
      !this.#retried &&
      ((stale && this.#repeatable()) || (unsent && this.#given !== undefined))
    ) {
      this.#retried = true;
      this.#begin(true);
    } else {
      this.#failed(
        error ??
          new RelayError('upstream-failed', 'The app closed the connection.', { blame: 'app' }),
      );
    }
  }

  // Answers

  #headers(head: ResponseHead): OutgoingHttpHeaders {
    const route = this.#route as Route;
    const pairs = responsePairs(head.headers, head.connection, route.rules);
    return asHeaders(head.status, pairs);
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
      this.#headSent = true;
      this.#engine.done(this.#route?.decision.kind ?? 'local', status, this.#started);
    });
  }

  /** `node:http2` throws for fields it does not send (two Content-Types, say). */
  #guard(send: () => void): void {
    try {
      send();
    } catch (error) {
      const exchange = this.#exchange;
      this.#exchange = undefined;
      exchange?.cancel('The response cannot be sent over HTTP/2.');
      this.#finished = true;
      if (this.#stream.headersSent) this.#stream.close(constants.NGHTTP2_INTERNAL_ERROR);
      else {
        this.#failed(
          new RelayError('upstream-failed', 'The response of the app cannot be sent over HTTP/2.', {
            blame: 'app',
            cause: error,
          }),
        );
      }
    }
  }

  #failed(error: unknown): void {
    if (this.#stream.destroyed) return;
    const { deps } = this.#engine;
    const context = this.#route?.context ?? {};
    const head = this.#request as RequestHead;
    this.#respond(failureAnswer(deps, head, error, context, this.#channel), 'failed');
  }

  #refuse(error: HeadError): void {
    this.#respond(this.#engine.deps.policy.badRequest(error.status, error.message), 'malformed');
  }

  #respond(response: LocalResponse, outcome: 'local' | 'failed' | 'malformed'): void {
    const stream = this.#stream;
    this.#finished = true;
    if (stream.destroyed || stream.headersSent) return;
    const headers = asHeaders(response.status, response.headers);
    const body =
      typeof response.body === 'string' ? Buffer.from(response.body) : Buffer.from(response.body);
    const none = response.status === 204 || response.status === 304;
    if (!none) headers['content-length'] = body.length;
    this.#headSent = true;
    this.#engine.done(outcome, response.status, this.#started);
    const bodiless = none || this.#head?.method === 'HEAD';
    stream.respond(headers, { endStream: bodiless });
    if (!bodiless) {
      this.#written += body.length;
      stream.end(body);
    }
    if (this.#bodyDone) {
      stream.resume();
      return;
    }
    stream.resume();
    stream.once('finish', () => stream.close(constants.NGHTTP2_NO_ERROR));
  }
}
