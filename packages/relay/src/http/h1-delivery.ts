/**
 * One request after the other on its way to whom it is for: the policy's decision, the agent's
 * link, head and body. Once more on a fresh connection, when nobody can have got it.
 */
import { Dispatch, type DispatchEvents } from './dispatch.ts';
import type { Engine } from './engine.ts';
import type { Exchange, ResponseSink } from './exchange.ts';
import type { Decision, LocalResponse } from './gate-policy.ts';
import type { H1CurrentRequest } from './h1-current-request.ts';
import type { H1Inlet } from './h1-inlet.ts';
import { H1RequestBody } from './h1-request-body.ts';
import type { Route } from './route.ts';

/** Who answers it. */
export interface DeliveryEvents extends ResponseSink {
  /** The policy has answered it. */
  onLocal(response: LocalResponse): void;
  /** The policy had no word, or there was no way to the app in time. */
  onUndelivered(error: unknown): void;
  /** The app has its head, and what was there of its body. */
  onDelivered(): void;
  /** The last of it was taken, or thrown away. */
  onBodyDone(): void;
  onBrokenBody(error: unknown): void;
}

export class H1Delivery implements DispatchEvents {
  readonly #inlet: H1Inlet;
  readonly #request: H1CurrentRequest;
  readonly #events: DeliveryEvents;
  readonly #dispatch: Dispatch;
  readonly #body: H1RequestBody;
  /** Whoever takes the request, and owes the answer. Nobody: it is thrown away. */
  #exchange: Exchange | undefined;
  #deciding = false;
  #retried = false;

  constructor(engine: Engine, inlet: H1Inlet, request: H1CurrentRequest, events: DeliveryEvents) {
    this.#inlet = inlet;
    this.#request = request;
    this.#events = events;
    this.#dispatch = new Dispatch(engine, this);
    this.#body = new H1RequestBody(engine.limits, inlet);
  }

  /** Waiting for the policy or for an agent's link: the body is held. */
  get deciding(): boolean {
    return this.#deciding;
  }

  get exchange(): Exchange | undefined {
    return this.#exchange;
  }

  /** All of the body was taken, or thrown away. */
  get bodyDone(): boolean {
    return this.#body.done;
  }

  /** The client has begun to send the body. */
  get bodySeen(): boolean {
    return this.#body.seen;
  }

  /** What follows the head is in the inlet. */
  start(): void {
    this.#retried = false;
    this.#body.start(this.#request.fields.length);
    const route = this.#request.recallRoute();
    if (route !== undefined) {
      this.#begin(route, false);
      return;
    }
    this.#deciding = true;
    this.#dispatch.ask(this.#request.head);
  }

  /** Again, after the exchange failed. False: an app may have got it, or some of it is gone. */
  again(untouched: boolean, stale: boolean, unsent: boolean): boolean {
    if (!untouched || this.#retried) return false;
    if (!(stale && this.#request.repeatable) && !(unsent && this.#body.rewind())) return false;
    this.#retried = true;
    this.#begin(this.#request.route as Route, true);
    return true;
  }

  onDecision(decision: Decision): void {
    if (decision.kind === 'respond') {
      this.#events.onLocal(decision.response);
      return;
    }
    try {
      this.#begin(this.#request.prepareRoute(decision), false);
    } catch (error) {
      this.#events.onUndelivered(error);
    }
  }

  onLinked(route: Route): void {
    this.#begin(route, true);
  }

  onUndelivered(error: unknown): void {
    this.#events.onUndelivered(error);
  }

  #begin(route: Route, fresh: boolean): void {
    const request = this.#request;
    const { line, fields } = request;
    request.route = route;
    this.#deciding = true;
    const { first } = this.#body;
    const exchange = this.#dispatch.begin(
      route,
      this.#events,
      { method: line.method, length: fields.length, upgrade: request.upgrade !== undefined },
      line.target,
      fields.length < 0 ? 'Transfer-Encoding: chunked\r\n' : '',
      first,
      request.repeatable,
      fresh,
    );
    if (exchange === undefined) return;
    // `#begin` runs on the event loop; no answer can have come yet.
    this.#deciding = false;
    this.#exchange = exchange;
    request.channel = exchange.channel;
    if (first !== undefined) {
      this.#body.gaveFirst(first);
      if (this.#body.done) this.#endBody();
    } else if (!this.#body.done) this.#give(undefined);
    if (!this.#inlet.full) this.#inlet.resume();
    this.#events.onDelivered();
  }

  onData(chunk: Buffer): void {
    if (this.#deciding || this.#body.done || this.#inlet.held !== undefined) {
      this.#inlet.hold(chunk);
    } else this.#give(chunk);
  }

  /** `more`: has just come; undefined: what was there with the head. */
  #give(more: Buffer | undefined): void {
    try {
      this.#body.give(more, this.#exchange);
    } catch (error) {
      this.#events.onBrokenBody(error);
      return;
    }
    if (this.#body.done) this.#endBody();
  }

  #endBody(): void {
    if (this.#exchange !== undefined) this.#body.end(this.#exchange);
    this.#events.onBodyDone();
  }

  /** `excused`: the client may be silent. True: the rest of the body did not come in time. */
  overdue(now: number, excused: boolean): boolean {
    if (this.#deciding || this.#body.done) return false;
    return this.#body.overdue(now, excused || this.#inlet.paused);
  }

  /** The app takes more. */
  resume(): void {
    if (!this.#body.done) this.#inlet.resume();
  }

  /** Nobody takes the rest. */
  release(): void {
    this.#exchange = undefined;
    this.#deciding = false;
  }

  /** Nobody takes any of it: what is there of the body is thrown away. */
  refuse(): void {
    this.release();
    // Often the whole (small) body came with its head.
    if (!this.#body.done) this.#give(undefined);
  }

  cancel(reason: string): void {
    const exchange = this.#exchange;
    this.release();
    exchange?.cancel(reason);
  }

  /** The client has gone. */
  stop(reason: string): void {
    this.#dispatch.stop(reason);
    this.cancel(reason);
  }

  /** The turn is over: keeps nothing. */
  forget(): void {
    this.release();
    this.#body.forget();
    this.#request.route = undefined;
  }
}
