/**
 * One request after the other on an HTTP/1 connection, each from its complete head to the end of
 * its answer: the sink of an exchange with any upstream.
 */
import type { Duplex } from 'node:stream';
import { WATCH_AFTER_MS } from './access-watch.ts';
import type { AccessEvents } from './current-request.ts';
import { Dispatch, type DispatchEvents } from './dispatch.ts';
import type { ConnectionInfo, Engine } from './engine.ts';
import type { Exchange, ResponseBody, ResponseSink } from './exchange.ts';
import type { Decision, LocalResponse } from './gate-policy.ts';
import { H1Answer } from './h1-answer.ts';
import { H1CurrentRequest } from './h1-current-request.ts';
import { HeadError } from './h1-head.ts';
import type { H1Inlet } from './h1-inlet.ts';
import type { KnownFields } from './h1-known-fields.ts';
import type { RequestLine } from './h1-request.ts';
import { H1RequestBody } from './h1-request-body.ts';
import type { ResponseHead } from './h1-response.ts';
import type { Route } from './route.ts';
import { Upgraded } from './upgraded.ts';

/** The connection. Each turn ends with one of these calls; `endWithin` may come before. */
export interface TurnConnection {
  /** The next request may begin. */
  onTurnDone(): void;
  /** There is no further turn; our last byte is written. */
  linger(): void;
  /** The request is malformed, and gets no other answer. `started`: monotonic ms. */
  refuse(error: HeadError, started: number): void;
  /** An answer broke off, and must not look complete. `reset`: after a mere end it would. */
  breakOff(reset: boolean): void;
  destroy(reason: string): void;
  /** It ends in so many ms, whatever happens. */
  endWithin(ms: number): void;
}

/** Its connection is lingering, closed, or between two requests. */
const OVER = 0;
/** Waiting for the policy or for an agent's link. */
const DECIDING = 1;
/** An app has the request, or an answer of our own is written. */
const EXCHANGING = 2;
const UPGRADED = 3;

export class H1Turn implements ResponseSink, DispatchEvents, AccessEvents {
  readonly #engine: Engine;
  readonly #socket: Duplex;
  readonly #inlet: H1Inlet;
  readonly #connection: TurnConnection;
  readonly #request: H1CurrentRequest;
  readonly #dispatch: Dispatch;
  readonly #body: H1RequestBody;
  readonly #answer: H1Answer;
  #state = OVER;
  /** Whoever takes the request, and owes the answer; nobody: the rest of the request is thrown away. */
  #exchange: Exchange | undefined;
  #upgraded: Upgraded | undefined;
  #retried = false;

  constructor(
    engine: Engine,
    socket: Duplex,
    info: ConnectionInfo,
    inlet: H1Inlet,
    connection: TurnConnection,
  ) {
    this.#engine = engine;
    this.#socket = socket;
    this.#inlet = inlet;
    this.#connection = connection;
    this.#request = new H1CurrentRequest(engine, info, this);
    this.#dispatch = new Dispatch(engine, this);
    this.#body = new H1RequestBody(engine.limits, inlet);
    this.#answer = new H1Answer(engine, socket, this.#request);
  }

  /** What follows the head is in the inlet. */
  start(line: RequestLine, known: KnownFields): void {
    this.#request.start(line, known);
    this.#body.start(known.fields.length);
    this.#answer.start(this.#inlet.ended);
    this.#retried = false;
    const route = this.#request.recallRoute();
    if (route !== undefined) {
      this.#begin(route, false);
      return;
    }
    this.#state = DECIDING;
    this.#dispatch.ask(this.#request.head);
  }

  tick(now: number): void {
    if (this.#upgraded !== undefined) {
      if (this.#upgraded.open) this.#request.lookAtAccess();
    } else if (this.#state === EXCHANGING && now - this.#request.started >= WATCH_AFTER_MS) {
      if (this.#exchange !== undefined) this.#request.lookAtAccess();
      if (!this.#body.done && (this.#state as number) === EXCHANGING) this.#lookAtBody(now);
    }
  }

  #lookAtBody(now: number): void {
    if (this.#body.overdue(now, this.#inlet.paused || this.#answer.flows)) {
      this.#brokenBody(new HeadError(408, 'The rest of the request body did not arrive in time.'));
    }
  }

  onAccessLost(decision: Decision): void {
    if (this.#upgraded?.open === true) {
      this.#request.logAccessLost(decision);
      if (this.#upgraded.cut()) this.#boundLeaving();
      else this.#connection.destroy('access was taken away');
    } else if (this.#exchange !== undefined) {
      this.#request.logAccessLost(decision);
      this.#cancel('Access was taken away.');
      if (this.#answer.begun || decision.kind !== 'respond') this.#breakOff();
      else this.#respond(decision.response, 'local');
    }
  }

  /** False: there is nothing to tell it with. */
  leave(): boolean {
    if (this.#upgraded?.leave() !== true) return false;
    this.#boundLeaving();
    return true;
  }

  #boundLeaving(): void {
    this.#connection.endWithin(this.#engine.limits.webSocketCloseMs);
  }

  /** The connection is closed. */
  abandon(): void {
    const state = this.#state;
    this.#state = OVER;
    this.#dispatch.stop('The client closed the connection.');
    this.#upgraded?.abandon('The client closed the connection.');
    this.#cancel('The client closed the connection.');
    if (state === DECIDING || (state === EXCHANGING && !this.#answer.done)) {
      this.#request.done('aborted', this.#answer.status);
    }
  }

  // From the client

  onData(chunk: Buffer): void {
    switch (this.#state) {
      case EXCHANGING:
        if (this.#body.done || this.#inlet.held !== undefined) this.#inlet.hold(chunk);
        else this.#giveBody(chunk);
        break;
      case UPGRADED:
        if (this.#upgraded?.fromClient(chunk) === false) this.#inlet.pause();
        break;
      default:
        this.#inlet.hold(chunk);
    }
  }

  /** The client has ended its half. A closed tab looks the same as `nc` that waits for its answer. */
  onEnd(): void {
    if (this.#upgraded !== undefined) {
      this.#upgraded.endFromClient();
      if (this.#upgraded.clientTold) this.#socket.end();
      return;
    }
    if (this.#state === EXCHANGING && !this.#body.done) {
      this.#connection.destroy('client ended');
      return;
    }
    this.#answer.keepAlive = false;
    if (this.#state === EXCHANGING) {
      this.#connection.endWithin(this.#engine.limits.halfCloseGraceMs);
    }
  }

  /** The client can take more. */
  resume(): void {
    this.#exchange?.resume();
    this.#upgraded?.resume();
  }

  // To the app

  onDecision(decision: Decision): void {
    if (decision.kind === 'respond') {
      this.#respond(decision.response, 'local');
      return;
    }
    try {
      this.#begin(this.#request.prepareRoute(decision), false);
    } catch (error) {
      this.#fail(error);
    }
  }

  onLinked(route: Route): void {
    this.#begin(route, true);
  }

  onUndelivered(error: unknown): void {
    this.#fail(error);
  }

  #begin(route: Route, fresh: boolean): void {
    const request = this.#request;
    const { line, fields } = request;
    request.route = route;
    this.#state = DECIDING;
    const { first } = this.#body;
    const exchange = this.#dispatch.begin(
      route,
      this,
      { method: line.method, length: fields.length, upgrade: request.upgrade !== undefined },
      line.target,
      fields.length < 0 ? 'Transfer-Encoding: chunked\r\n' : '',
      first,
      request.repeatable,
      fresh,
    );
    if (exchange === undefined) return;
    // `#begin` runs on the event loop; no answer can have come yet.
    this.#state = EXCHANGING;
    this.#exchange = exchange;
    request.channel = exchange.channel;
    if (first !== undefined) {
      this.#body.gaveFirst(first);
      if (this.#body.done) this.#endBody();
    } else if (!this.#body.done) this.#giveBody(undefined);
    if (!this.#inlet.full) this.#inlet.resume();
    if (this.#inlet.ended) this.onEnd();
  }

  /** `more`: has just come; undefined: what was there with the head. */
  #giveBody(more: Buffer | undefined): void {
    try {
      this.#body.give(more, this.#exchange);
    } catch (error) {
      this.#brokenBody(error);
      return;
    }
    if (this.#body.done) this.#endBody();
  }

  #endBody(): void {
    if (this.#exchange !== undefined) this.#body.end(this.#exchange);
    this.#finishWhenDone();
  }

  #brokenBody(error: unknown): void {
    this.#cancel('The request body is malformed.');
    const fault =
      error instanceof HeadError ? error : new HeadError(400, 'The request body is malformed.');
    if (this.#answer.begun) {
      this.#connection.destroy(fault.message);
      return;
    }
    this.#over();
    this.#connection.refuse(fault, this.#request.started);
  }

  // From the app

  get rawChunks(): boolean {
    return this.#request.modern;
  }

  onInformational(head: ResponseHead): void {
    this.#answer.interim(head);
  }

  onHead(head: ResponseHead, body: ResponseBody): void {
    // A client that was not told to continue may never send its body.
    if (!this.#body.seen && !this.#body.done && this.#request.fields.expectContinue) {
      this.#answer.keepAlive = false;
    }
    this.#answer.head(head, body);
  }

  onBody(chunk: Buffer, raw: boolean): void {
    const passed = this.#upgraded === undefined ? chunk : this.#upgraded.fromApp(chunk);
    if (passed !== undefined) this.#answer.body(passed, raw);
  }

  onComplete(trailers: readonly string[]): void {
    this.#answer.end(trailers);
    this.#finishWhenDone();
  }

  flush(): boolean {
    return this.#answer.flush();
  }

  onUpgraded(head: ResponseHead): void {
    this.#answer.switched(head);
    const upgraded = new Upgraded(this.#request.upgrade, this.#exchange as Exchange, {
      tell: (frame) => {
        this.#answer.body(frame, false);
        this.#answer.flush();
        this.#inlet.resume();
      },
      end: () => this.#socket.end(),
    });
    this.#exchange = undefined;
    this.#upgraded = upgraded;
    this.#state = UPGRADED;
    const held = this.#inlet.take();
    if (held !== undefined) upgraded.fromClient(held);
    if (this.#inlet.ended) upgraded.endFromClient();
    else this.#inlet.resume();
  }

  onUpgradedEnd(): void {
    this.#answer.flush();
    this.#socket.end();
  }

  onRequestWritable(): void {
    if (this.#state === UPGRADED || (this.#state === EXCHANGING && !this.#body.done)) {
      this.#inlet.resume();
    }
  }

  onRequestRefused(): void {
    this.#exchange = undefined;
    this.#answer.keepAlive = false;
    if (this.#answer.done) this.#finishWhenDone();
  }

  onFailed(error: Error | undefined, untouched: boolean, stale: boolean, unsent: boolean): void {
    this.#exchange = undefined;
    const { begun, done, headWaits } = this.#answer;
    if (this.#upgraded !== undefined) {
      if (this.#upgraded.appGone(error)) this.#socket.end();
      else this.#connection.destroy('the app closed the connection');
    } else if (this.#state !== EXCHANGING) return;
    else if (done) this.onRequestRefused();
    else if (begun && !headWaits) this.#breakOff();
    else if (
      !begun &&
      untouched &&
      !this.#retried &&
      ((stale && this.#request.repeatable) || (unsent && this.#body.rewind()))
    ) {
      this.#retried = true;
      this.#begin(this.#request.route as Route, true);
    } else {
      // The fault may have come in the same bytes as the head: nothing is written yet.
      this.#answer.discard();
      this.#fail(error ?? new Error('The app closed the connection.'));
    }
  }

  // Ends

  #fail(error: unknown): void {
    this.#respond(this.#request.failure(error), 'failed');
  }

  #respond(response: LocalResponse, outcome: 'local' | 'failed'): void {
    this.#state = EXCHANGING;
    this.#exchange = undefined;
    if (!this.#body.done) {
      // Often the whole (small) body came with its head.
      this.#giveBody(undefined);
      if (this.#state !== EXCHANGING) return;
    }
    if (!this.#body.done || this.#engine.draining) this.#answer.keepAlive = false;
    this.#answer.local(response, outcome);
    this.#finishWhenDone();
  }

  #finishWhenDone(): void {
    if (!this.#answer.done || this.#state !== EXCHANGING) return;
    if (!this.#body.done && this.#exchange !== undefined) return;
    const stays = this.#body.done && this.#answer.keepAlive;
    this.#body.forget();
    this.#over();
    if (stays) this.#connection.onTurnDone();
    else this.#connection.linger();
  }

  #cancel(reason: string): void {
    const exchange = this.#exchange;
    this.#exchange = undefined;
    exchange?.cancel(reason);
  }

  #breakOff(): void {
    this.#answer.flush();
    this.#connection.breakOff(this.#answer.endsByClose);
  }

  #over(): void {
    this.#state = OVER;
    this.#exchange = undefined;
    this.#request.route = undefined;
  }
}
