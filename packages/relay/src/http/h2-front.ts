/**
 * The server's side of one HTTP/2 request: an `H2Request` is the sink of one
 * exchange with any upstream. Extended CONNECT (RFC 8441) becomes an HTTP/1.1
 * upgrade of the app's.
 */
import { constants, type OutgoingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import { RelayError } from '../errors.ts';
import { AccessWatch, WATCH_AFTER_MS, logLost } from './access-watch.ts';
import { clientOfHead, forwardedBy } from './client-of-head.ts';
import type { ConnectionInfo, Engine, FrontConnection } from './engine.ts';
import type { Exchange, ResponseBody, ResponseSink } from './exchange.ts';
import { failureAnswer } from './failure-answer.ts';
import type { Decision, LocalResponse, RequestHead } from './gate-policy.ts';
import { HeadError } from './h1-head.ts';
import type { ResponseHead } from './h1-response.ts';
import { asHeaders } from './h2-headers.ts';
import { parseH2Head, type H2Head } from './h2-request.ts';
import { H2RequestBody } from './h2-request-body.ts';
import { H2ResponseWriter, type WriterEvents } from './h2-response-writer.ts';
import { keptTrailers, responsePairs } from './headers.ts';
import { logCut } from './log-cut.ts';
import { PlainRequestHead, nextRequestId } from './request-head.ts';
import type { Route } from './route.ts';
import { SlowReader } from './slow-reader.ts';
import { accepts, webSocketKey } from './ws-handshake.ts';
import { GOING_AWAY, POLICY_VIOLATION, WebSocketPassage } from './ws-passage.ts';
import { ACCESS_GONE, RESTARTING } from './ws-reasons.ts';

export class H2Request implements ResponseSink, FrontConnection, WriterEvents {
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
  #webSocketKey: string | undefined;
  #upgraded = false;
  #webSocket: WebSocketPassage | undefined;
  /** An ended WebSocket's client may answer until then. */
  #leaveBy = Number.POSITIVE_INFINITY;
  readonly #body: H2RequestBody;
  readonly #out: H2ResponseWriter;
  #responseDone = false;
  /** Neither side has anything more to say. */
  #finished = false;
  #retried = false;

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
    this.#body = new H2RequestBody(stream, engine.limits);
    this.#out = new H2ResponseWriter(stream, this);
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
    if (!this.#body.done && !this.#upgraded) this.#lookAtBody(now);
    if (this.#stream.writableLength > 0) this.#lookAtReader(now);
    else this.#reader = undefined;
  }

  #lookAtReader(now: number): void {
    const accepted = this.#out.written - this.#stream.writableLength;
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
      (this.#out.headSent && !this.#responseDone) ||
      this.#stream.isPaused() ||
      (decision?.kind === 'app' && decision.policy.protocol === 'h2c');
    if (!this.#body.overdue(now, excused)) return;
    const exchange = this.#exchange;
    this.#exchange = undefined;
    exchange?.cancel('The request body stopped.');
    if (this.#responseDone) this.onRequestRefused();
    else this.#refuse(new HeadError(408, 'The rest of the request body did not arrive in time.'));
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
    this.#out.discard();
    exchange?.cancel('Access was taken away.');
    logLost(this.#engine.deps.log, this.#request as RequestHead, decision, this.#channel);
    if (!this.#out.headSent && decision.kind === 'respond')
      this.#respond(decision.response, 'local');
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

  destroy(reason: string): void {
    const head = this.#request;
    if (head !== undefined && !this.#finished) {
      const [request, host] = [head.id, head.authority];
      logCut(this.#engine.deps.log, { request, host, channel: this.#channel }, reason);
    }
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
    if (!this.#out.headSent) this.#engine.done('aborted', 0, this.#started);
  }

  // The request

  #decide(head: H2Head): void {
    const client = clientOfHead(this.#info, head.headers, this.#engine.deps.trusted);
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
    const request = this.#request as RequestHead;
    try {
      this.#route = this.#engine.routes.prepare(decision, {
        headers: head.headers,
        connection: [],
        upgrade: head.protocol,
        by: forwardedBy(this.#info, head.headers, head.authority, request.secure),
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
    const length = upgrade || !this.#body.present ? 0 : head.length;
    let framing = '';
    if (length === -1) framing = 'Transfer-Encoding: chunked\r\n';
    if (head.protocol === 'websocket') {
      this.#webSocketKey = webSocketKey();
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
      if (this.#body.piped) this.#stream.pause();
      this.#waitForLink(route);
      return;
    }
    this.#exchange = exchange;
    this.#channel = exchange.channel;
    if (upgrade) return;
    if (this.#body.piped) this.#body.giveAgain(exchange);
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

  #pipeBody(): void {
    this.#body.pipe({
      onChunk: (chunk) => {
        this.#body.remember(chunk, this.#out.headSent || this.#upgraded);
        const passed = this.#webSocket === undefined ? chunk : this.#webSocket.fromClient(chunk);
        return passed === undefined || this.#exchange?.writeBody(passed, false) !== false;
      },
      onEnd: () => {
        if (this.#upgraded) this.#exchange?.endUpgraded();
        else this.#exchange?.endBody(this.#body.trailers, false);
        if (this.#responseDone) this.#finish();
      },
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
      !this.#body.present &&
      head.protocol === undefined
    );
  }

  // ResponseSink

  onInformational(head: ResponseHead): void {
    this.#out.informational(head);
  }

  onHead(head: ResponseHead, body: ResponseBody): void {
    const decision = (this.#route as Route).decision;
    const h2c = decision.kind === 'app' && decision.policy.protocol === 'h2c';
    this.#out.begin(head, body === 'none', body !== 'length' || h2c);
  }

  onBody(chunk: Buffer): void {
    this.#out.flush();
    const passed = this.#webSocket === undefined ? chunk : this.#webSocket.fromApp(chunk);
    if (passed !== undefined) this.#out.body(passed);
  }

  onComplete(trailers: readonly string[]): void {
    this.#out.end(keptTrailers(trailers));
    this.#responseDone = true;
    // A refused upgrade had no body; its client's half is still open.
    if (this.#head?.protocol !== undefined) this.onRequestRefused();
    else if (this.#body.done) this.#finish();
  }

  flush(): boolean {
    this.#out.flush();
    return !this.#stream.writableNeedDrain;
  }

  onUpgraded(head: ResponseHead): void {
    const key = this.#webSocketKey;
    if (key !== undefined && !accepts(head, key)) {
      const said = 'The app answered the WebSocket handshake wrongly.';
      this.#exchange?.cancel(said);
      this.#exchange = undefined;
      this.#failed(new RelayError('upstream-failed', said, { blame: 'app' }));
      return;
    }
    this.#upgraded = true;
    this.#out.upgraded(head);
    if (key !== undefined) this.#webSocket = this.#passage();
    this.#pipeBody();
  }

  #passage(): WebSocketPassage {
    return new WebSocketPassage({
      toClient: (frame) => {
        this.#out.body(frame);
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
    this.#out.discard();
    if (this.#upgraded && (error === undefined || this.#webSocket?.clientTold === true)) {
      this.#finished = true;
      this.#stream.end();
    } else if (this.#out.headSent) {
      this.#finished = true;
      this.#stream.close(constants.NGHTTP2_INTERNAL_ERROR);
    } else if (
      untouched &&
      !this.#retried &&
      ((stale && this.#repeatable()) || (unsent && this.#body.repeatable))
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

  headersOf(head: ResponseHead): OutgoingHttpHeaders {
    const { rules } = this.#route as Route;
    return asHeaders(head.status, responsePairs(head.headers, head.connection, rules));
  }

  onHeadSent(status: number): void {
    this.#engine.done(this.#route?.decision.kind ?? 'local', status, this.#started);
  }

  onUnsendable(cause: unknown): void {
    const exchange = this.#exchange;
    this.#exchange = undefined;
    exchange?.cancel('The response cannot be sent over HTTP/2.');
    this.#finished = true;
    if (this.#stream.headersSent) this.#stream.close(constants.NGHTTP2_INTERNAL_ERROR);
    else {
      const said = 'The response of the app cannot be sent over HTTP/2.';
      this.#failed(new RelayError('upstream-failed', said, { blame: 'app', cause }));
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
    this.#out.headSent = true;
    this.#engine.done(outcome, response.status, this.#started);
    this.#out.local(response, this.#head?.method === 'HEAD');
    stream.resume();
    if (this.#body.done) return;
    stream.once('finish', () => stream.close(constants.NGHTTP2_NO_ERROR));
  }
}
