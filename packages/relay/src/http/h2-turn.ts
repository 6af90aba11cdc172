/**
 * One HTTP/2 request and its answer: the sink of an exchange with any upstream. Extended
 * CONNECT (RFC 8441) becomes an HTTP/1.1 upgrade of the app's.
 */
import { constants, type OutgoingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import { RelayError } from '../errors.ts';
import { WATCH_AFTER_MS } from './access-watch.ts';
import { Dispatch, type DispatchEvents } from './dispatch.ts';
import type { AccessEvents } from './current-request.ts';
import type { ConnectionInfo, Engine } from './engine.ts';
import type { Exchange, ResponseBody, ResponseSink } from './exchange.ts';
import type { Decision, LocalResponse } from './gate-policy.ts';
import { HeadError } from './h1-head.ts';
import type { ResponseHead } from './h1-response.ts';
import { H2CurrentRequest } from './h2-current-request.ts';
import { asHeaders } from './h2-headers.ts';
import { parseH2Head, type H2Head } from './h2-request.ts';
import { H2RequestBody, type BodyEvents } from './h2-request-body.ts';
import { H2ResponseWriter, type WriterEvents } from './h2-response-writer.ts';
import { keptTrailers, responsePairs } from './headers.ts';
import type { Route } from './route.ts';
import { Upgraded } from './upgraded.ts';
import { accepts, webSocketKey } from './ws-handshake.ts';

export interface TurnStream {
  /** The client was told why its WebSocket ends, and has `webSocketCloseMs` to answer. */
  boundLeaving(): void;
  destroy(reason: string): void;
}

export class H2Turn
  implements ResponseSink, WriterEvents, BodyEvents, DispatchEvents, AccessEvents
{
  readonly rawChunks = false;
  readonly #engine: Engine;
  readonly #stream: ServerHttp2Stream;
  readonly #owner: TurnStream;
  readonly #request: H2CurrentRequest;
  /** Only while it owes us something: its connection may serve others afterwards. */
  #exchange: Exchange | undefined;
  #webSocketKey: string | undefined;
  #upgraded: Upgraded | undefined;
  readonly #dispatch: Dispatch;
  readonly #body: H2RequestBody;
  readonly #out: H2ResponseWriter;
  #responseDone = false;
  /** Neither side has anything more to say. */
  #finished = false;
  #retried = false;

  constructor(engine: Engine, stream: ServerHttp2Stream, info: ConnectionInfo, owner: TurnStream) {
    this.#engine = engine;
    this.#stream = stream;
    this.#owner = owner;
    this.#request = new H2CurrentRequest(engine, info, this);
    this.#dispatch = new Dispatch(engine, this);
    this.#body = new H2RequestBody(stream, engine.limits);
    this.#out = new H2ResponseWriter(stream, this);
  }

  /** `rawHeaders`: pairs, with pseudo fields. */
  start(rawHeaders: readonly string[]): void {
    let head: H2Head;
    try {
      head = parseH2Head(rawHeaders, this.#engine.limits);
    } catch (error) {
      this.#refuse(error instanceof HeadError ? error : new HeadError(400, String(error)));
      return;
    }
    this.#request.accept(head);
    this.#dispatch.ask(this.#request.head);
  }

  /** Bytes of the answer that the client's connection took, for comparison only. */
  get accepted(): number {
    return this.#out.written - this.#stream.writableLength;
  }

  /** The client can take more. */
  resume(): void {
    this.#exchange?.resume();
    this.#upgraded?.resume();
  }

  tick(now: number): void {
    if (this.#upgraded !== undefined) {
      if (this.#upgraded.open) this.#request.lookAtAccess();
      return;
    }
    if (this.#exchange !== undefined && now - this.#request.started >= WATCH_AFTER_MS) {
      this.#request.lookAtAccess();
    }
    if (!this.#body.done) this.#lookAtBody(now);
  }

  /** A gRPC call may wait for its client for hours before either side says more. */
  #lookAtBody(now: number): void {
    const decision = this.#request.route?.decision;
    const excused =
      this.#finished ||
      this.#exchange === undefined ||
      (this.#out.headSent && !this.#responseDone) ||
      this.#stream.isPaused() ||
      (decision?.kind === 'app' && decision.policy.protocol === 'h2c');
    if (!this.#body.overdue(now, excused)) return;
    this.#cancel('The request body stopped.');
    if (this.#responseDone) this.onRequestRefused();
    else this.#refuse(new HeadError(408, 'The rest of the request body did not arrive in time.'));
  }

  onAccessLost(decision: Decision): void {
    if (this.#upgraded?.open === true) {
      this.#request.logAccessLost(decision);
      if (this.#upgraded.cut()) this.#owner.boundLeaving();
      else this.#owner.destroy('access was taken away');
    } else if (this.#exchange !== undefined) {
      this.#request.logAccessLost(decision);
      this.#out.discard();
      this.#cancel('Access was taken away.');
      if (!this.#out.headSent && decision.kind === 'respond')
        this.#respond(decision.response, 'local');
      else this.#owner.destroy('access was taken away');
    }
  }

  /** False: there is nothing to tell it with. */
  leave(): boolean {
    if (this.#finished || this.#upgraded?.leave() !== true) return false;
    this.#owner.boundLeaving();
    return true;
  }

  /** The stream is about to be cut. */
  logCut(reason: string): void {
    if (!this.#finished && this.#request.parsed !== undefined) this.#request.logCut(reason);
  }

  /** The stream is closed. */
  abandon(): void {
    this.#dispatch.stop('The client reset the request.');
    this.#upgraded?.abandon('The client reset the request.');
    this.#cancel('The client reset the request.');
    if (this.#finished) return;
    this.#finished = true;
    if (!this.#out.headSent) this.#request.done('aborted', 0);
  }

  // To the app

  onDecision(decision: Decision): void {
    if (this.#stream.destroyed) return;
    if (decision.kind === 'respond') {
      this.#respond(decision.response, 'local');
      return;
    }
    try {
      this.#request.prepareRoute(decision);
    } catch (error) {
      this.#failed(error);
      return;
    }
    this.#begin(false);
  }

  #begin(fresh: boolean): void {
    const head = this.#request.parsed as H2Head;
    const upgrade = head.protocol !== undefined;
    // An upgrade has no body; its DATA frames come after the 101.
    const length = upgrade || !this.#body.present ? 0 : head.length;
    let framing = '';
    if (length === -1) framing = 'Transfer-Encoding: chunked\r\n';
    if (head.protocol === 'websocket') {
      this.#webSocketKey = webSocketKey();
      framing += `Sec-WebSocket-Key: ${this.#webSocketKey}\r\n`;
    }
    const exchange = this.#dispatch.begin(
      this.#request.route as Route,
      this,
      { method: head.method, length, upgrade },
      head.target,
      framing,
      undefined,
      this.#repeatable(),
      fresh,
    );
    if (exchange === undefined) {
      if (this.#dispatch.waiting && this.#body.piped) this.#stream.pause();
      return;
    }
    this.#exchange = exchange;
    this.#request.channel = exchange.channel;
    if (upgrade) return;
    if (this.#body.piped) this.#body.giveAgain(exchange);
    else this.#body.pipe(this);
  }

  onLinked(): void {
    this.#begin(true);
  }

  onUndelivered(error: unknown): void {
    this.#failed(error);
  }

  onBodyChunk(chunk: Buffer): boolean {
    if (this.#upgraded !== undefined) return this.#upgraded.fromClient(chunk);
    this.#body.remember(chunk, this.#out.headSent);
    return this.#exchange?.writeBody(chunk, false) !== false;
  }

  onBodyEnd(): void {
    this.#upgraded?.endFromClient();
    this.#exchange?.endBody(this.#body.trailers, false);
    if (this.#responseDone) this.#finish();
  }

  #finish(): void {
    this.#exchange = undefined;
    this.#finished = true;
  }

  #repeatable(): boolean {
    const head = this.#request.parsed as H2Head;
    return (
      (head.method === 'GET' || head.method === 'HEAD' || head.method === 'OPTIONS') &&
      !this.#body.present &&
      head.protocol === undefined
    );
  }

  // From the app

  onInformational(head: ResponseHead): void {
    this.#out.informational(head);
  }

  onHead(head: ResponseHead, body: ResponseBody): void {
    const decision = (this.#request.route as Route).decision;
    const h2c = decision.kind === 'app' && decision.policy.protocol === 'h2c';
    this.#out.begin(head, body === 'none', body !== 'length' || h2c);
  }

  onBody(chunk: Buffer): void {
    this.#out.flush();
    const passed = this.#upgraded === undefined ? chunk : this.#upgraded.fromApp(chunk);
    if (passed !== undefined) this.#out.body(passed);
  }

  onComplete(trailers: readonly string[]): void {
    this.#out.end(keptTrailers(trailers));
    this.#responseDone = true;
    // A refused upgrade had no body; its client's half is still open.
    if (this.#request.parsed?.protocol !== undefined) this.onRequestRefused();
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
      this.#cancel(said);
      this.#failed(new RelayError('upstream-failed', said, { blame: 'app' }));
      return;
    }
    const { parsed } = this.#request;
    this.#upgraded = new Upgraded(parsed?.protocol, this.#exchange as Exchange, {
      tell: (frame) => {
        this.#out.body(frame);
        this.#stream.resume();
      },
      end: () => {
        if (!this.#stream.destroyed) this.#stream.end();
      },
    });
    this.#exchange = undefined;
    this.#out.upgraded(head);
    this.#body.pipe(this);
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
    if (this.#upgraded?.appGone(error) === true) {
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
    const { rules } = this.#request.route as Route;
    return asHeaders(head.status, responsePairs(head.headers, head.connection, rules));
  }

  onHeadSent(status: number): void {
    this.#request.done(this.#request.route?.decision.kind ?? 'local', status);
  }

  onUnsendable(cause: unknown): void {
    const reason = 'The response cannot be sent over HTTP/2.';
    this.#upgraded?.abandon(reason);
    this.#cancel(reason);
    this.#finished = true;
    if (this.#stream.headersSent) this.#stream.close(constants.NGHTTP2_INTERNAL_ERROR);
    else {
      const said = 'The response of the app cannot be sent over HTTP/2.';
      this.#failed(new RelayError('upstream-failed', said, { blame: 'app', cause }));
    }
  }

  #cancel(reason: string): void {
    const exchange = this.#exchange;
    this.#exchange = undefined;
    exchange?.cancel(reason);
  }

  #failed(error: unknown): void {
    if (this.#stream.destroyed) return;
    this.#respond(this.#request.failure(error), 'failed');
  }

  #refuse(error: HeadError): void {
    this.#respond(this.#engine.deps.policy.badRequest(error.status, error.message), 'malformed');
  }

  #respond(response: LocalResponse, outcome: 'local' | 'failed' | 'malformed'): void {
    const stream = this.#stream;
    this.#finished = true;
    if (stream.destroyed || stream.headersSent) return;
    this.#out.headSent = true;
    this.#request.done(outcome, response.status);
    this.#out.local(response, this.#request.parsed?.method === 'HEAD');
    stream.resume();
    if (this.#body.done) return;
    stream.once('finish', () => stream.close(constants.NGHTTP2_NO_ERROR));
  }
}
