/**
 * One request after the other on an HTTP/1 connection, each from its complete head to the end of
 * its answer: the sink of an exchange with any upstream.
 */
import type { Duplex } from 'node:stream';
import { WATCH_AFTER_MS } from './access-watch.ts';
import type { AccessEvents } from './current-request.ts';
import type { ConnectionInfo, Engine } from './engine.ts';
import type { Exchange, ResponseBody } from './exchange.ts';
import type { Decision, LocalResponse } from './gate-policy.ts';
import { H1Answer } from './h1-answer.ts';
import { H1CurrentRequest } from './h1-current-request.ts';
import { H1Delivery, type DeliveryEvents } from './h1-delivery.ts';
import { HeadError } from './h1-head.ts';
import type { H1Inlet } from './h1-inlet.ts';
import type { KnownFields } from './h1-known-fields.ts';
import type { RequestLine } from './h1-request.ts';
import type { ResponseHead } from './h1-response.ts';
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

/** The connection is lingering, closed, or between two requests. */
const OVER = 0;
/** The request is delivered, the answer is written. */
const SERVING = 1;
/** There will be no further turn. */
const UPGRADED = 2;

export class H1Turn implements DeliveryEvents, AccessEvents {
  readonly #engine: Engine;
  readonly #socket: Duplex;
  readonly #inlet: H1Inlet;
  readonly #connection: TurnConnection;
  readonly #request: H1CurrentRequest;
  readonly #delivery: H1Delivery;
  readonly #answer: H1Answer;
  #state = OVER;
  #upgraded: Upgraded | undefined;

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
    this.#delivery = new H1Delivery(engine, inlet, this.#request, this);
    this.#answer = new H1Answer(engine, socket, this.#request);
  }

  /** What follows the head is in the inlet. */
  start(line: RequestLine, known: KnownFields): void {
    this.#state = SERVING;
    this.#request.start(line, known);
    this.#answer.start(this.#inlet.ended);
    this.#delivery.start();
  }

  tick(now: number): void {
    if (this.#upgraded !== undefined) {
      if (this.#upgraded.open) this.#request.lookAtAccess();
      return;
    }
    if (now - this.#request.started < WATCH_AFTER_MS) return;
    if (this.#delivery.exchange !== undefined) this.#request.lookAtAccess();
    if (this.#state === SERVING && this.#delivery.overdue(now, this.#answer.flows)) {
      this.onBrokenBody(new HeadError(408, 'The rest of the request body did not arrive in time.'));
    }
  }

  onAccessLost(decision: Decision): void {
    if (this.#upgraded?.open === true) {
      this.#request.logAccessLost(decision);
      if (this.#upgraded.cut()) this.#boundLeaving();
      else this.#connection.destroy('access was taken away');
    } else if (this.#delivery.exchange !== undefined) {
      this.#request.logAccessLost(decision);
      this.#delivery.cancel('Access was taken away.');
      if (this.#answer.begun || decision.kind !== 'respond') this.#breakOff();
      else this.#respond(decision.response, 'local');
    }
  }

  /** False: there is nothing to tell it with. */
  leave(): boolean {
    if (this.#state !== UPGRADED || this.#upgraded?.leave() !== true) return false;
    this.#boundLeaving();
    return true;
  }

  #boundLeaving(): void {
    this.#connection.endWithin(this.#engine.limits.webSocketCloseMs);
  }

  /** The connection is about to be cut. */
  logCut(reason: string): void {
    if (this.#state !== OVER) this.#request.logCut(reason);
  }

  /** The connection is closed. */
  abandon(): void {
    const unfinished = this.#state === SERVING && !this.#answer.done;
    this.#state = OVER;
    this.#delivery.stop('The client closed the connection.');
    this.#upgraded?.abandon('The client closed the connection.');
    if (unfinished) this.#request.done('aborted', this.#answer.status);
  }

  // From the client

  onData(chunk: Buffer): void {
    if (this.#upgraded === undefined) this.#delivery.onData(chunk);
    else if (!this.#upgraded.fromClient(chunk)) this.#inlet.pause();
  }

  /** The client has ended its half. A closed tab looks the same as `nc` that waits for its answer. */
  onEnd(): void {
    if (this.#upgraded !== undefined) {
      this.#upgraded.endFromClient();
      if (this.#upgraded.clientTold) this.#socket.end();
    } else if (this.#delivery.deciding) {
      this.#answer.keepAlive = false;
    } else if (this.#delivery.bodyDone) {
      this.#answer.keepAlive = false;
      this.#connection.endWithin(this.#engine.limits.halfCloseGraceMs);
    } else this.#connection.destroy('client ended');
  }

  /** The client can take more. */
  resume(): void {
    this.#delivery.exchange?.resume();
    this.#upgraded?.resume();
  }

  // Of the delivery

  onLocal(response: LocalResponse): void {
    this.#respond(response, 'local');
  }

  onUndelivered(error: unknown): void {
    this.#respond(this.#request.failure(error), 'failed');
  }

  onDelivered(): void {
    if (this.#inlet.ended && this.#state === SERVING) this.onEnd();
  }

  onBodyDone(): void {
    this.#finishWhenDone();
  }

  onBrokenBody(error: unknown): void {
    this.#delivery.cancel('The request body is malformed.');
    const fault =
      error instanceof HeadError ? error : new HeadError(400, 'The request body is malformed.');
    if (this.#answer.begun) {
      this.#connection.destroy(fault.message);
      return;
    }
    this.#over();
    this.#connection.refuse(fault, this.#request.started);
  }

  // Of the exchange

  get rawChunks(): boolean {
    return this.#request.modern;
  }

  onInformational(head: ResponseHead): void {
    this.#answer.interim(head);
  }

  onHead(head: ResponseHead, body: ResponseBody): void {
    const { bodySeen, bodyDone } = this.#delivery;
    // A client that was not told to continue may never send its body.
    if (!bodySeen && !bodyDone && this.#request.fields.expectContinue) {
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
    const app = this.#delivery.exchange as Exchange;
    const upgraded = new Upgraded(this.#request.upgrade, app, {
      tell: (frame) => {
        this.#answer.body(frame, false);
        this.#answer.flush();
        this.#inlet.resume();
      },
      end: () => this.#socket.end(),
    });
    this.#delivery.release();
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
    if (this.#state === UPGRADED) this.#inlet.resume();
    else if (this.#state === SERVING) this.#delivery.resume();
  }

  onRequestRefused(): void {
    this.#delivery.release();
    this.#answer.keepAlive = false;
    this.#finishWhenDone();
  }

  onFailed(error: Error | undefined, untouched: boolean, stale: boolean, unsent: boolean): void {
    this.#delivery.release();
    const { begun, done, headWaits } = this.#answer;
    if (this.#upgraded !== undefined) {
      if (this.#upgraded.appGone(error)) this.#socket.end();
      else this.#connection.destroy('the app closed the connection');
    } else if (this.#state !== SERVING) return;
    else if (done) this.onRequestRefused();
    else if (begun && !headWaits) this.#breakOff();
    else if (begun || !this.#delivery.again(untouched, stale, unsent)) {
      // The fault may have come in the same bytes as the head: nothing is written yet.
      this.#answer.discard();
      this.onUndelivered(error ?? new Error('The app closed the connection.'));
    }
  }

  // Ends

  #respond(response: LocalResponse, outcome: 'local' | 'failed'): void {
    this.#delivery.refuse();
    if (this.#state !== SERVING) return;
    if (!this.#delivery.bodyDone || this.#engine.draining) this.#answer.keepAlive = false;
    this.#answer.local(response, outcome);
    this.#finishWhenDone();
  }

  /** Done: the whole answer is given, and the whole request taken, or nobody takes it. */
  #finishWhenDone(): void {
    if (!this.#answer.done || this.#state !== SERVING) return;
    const { bodyDone, exchange } = this.#delivery;
    if (!bodyDone && exchange !== undefined) return;
    this.#over();
    if (bodyDone && this.#answer.keepAlive) this.#connection.onTurnDone();
    else this.#connection.linger();
  }

  #breakOff(): void {
    this.#answer.flush();
    this.#connection.breakOff(this.#answer.endsByClose);
  }

  #over(): void {
    this.#state = OVER;
    this.#delivery.forget();
  }
}
