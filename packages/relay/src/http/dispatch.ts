/** What a request may have to wait for before an app gets it: the policy's word, an agent's link. */
import { RelayError } from '../errors.ts';
import type { Engine } from './engine.ts';
import type { Exchange, RequestPlan, ResponseSink } from './exchange.ts';
import type { Decision, RequestHead } from './gate-policy.ts';
import type { Route } from './route.ts';

export interface DispatchEvents {
  onDecision(decision: Decision): void;
  /** The agent has a link again: begin once more, on a fresh connection. */
  onLinked(route: Route): void;
  /** The policy had no word, or there was no way to the app in time. */
  onUndelivered(error: unknown): void;
}

/** For one request after the other. What can be had at once is had at once, without a promise. */
export class Dispatch {
  readonly #engine: Engine;
  readonly #events: DispatchEvents;
  #waiting: AbortController | undefined;
  #stopped = false;

  constructor(engine: Engine, events: DispatchEvents) {
    this.#engine = engine;
    this.#events = events;
  }

  /** A link is waited for. */
  get waiting(): boolean {
    return this.#waiting !== undefined;
  }

  ask(head: RequestHead): void {
    const events = this.#events;
    try {
      const decision = this.#engine.deps.policy.decide(head);
      if (!(decision instanceof Promise)) {
        events.onDecision(decision);
        return;
      }
      decision.then(
        (made) => {
          if (!this.#stopped) events.onDecision(made);
        },
        (error: unknown) => {
          if (!this.#stopped) events.onUndelivered(error);
        },
      );
    } catch (error) {
      events.onUndelivered(error);
    }
  }

  /** As `Routes.begin`. Undefined: a link is waited for, or the failure was told. */
  begin(
    route: Route,
    sink: ResponseSink,
    plan: RequestPlan,
    target: string,
    framing: string,
    body: Buffer | undefined,
    repeatable: boolean,
    fresh: boolean,
  ): Exchange | undefined {
    const { routes } = this.#engine;
    try {
      const exchange = routes.begin(route, sink, plan, target, framing, body, repeatable, fresh);
      if (exchange !== undefined) return exchange;
    } catch (error) {
      this.#events.onUndelivered(error);
      return undefined;
    }
    this.#waitForLink(route);
    return undefined;
  }

  #waitForLink(route: Route): void {
    this.#waiting = new AbortController();
    this.#engine.routes.waitForLink(route.decision, this.#waiting.signal).then(
      () => {
        this.#waiting = undefined;
        if (!this.#stopped) this.#events.onLinked(route);
      },
      (error: unknown) => {
        this.#waiting = undefined;
        if (!this.#stopped) this.#events.onUndelivered(error);
      },
    );
  }

  /** The client has gone: nothing is told from here on. `reason` is for whoever is asked. */
  stop(reason: string): void {
    this.#stopped = true;
    this.#waiting?.abort(new RelayError('bad-request', reason, { blame: 'client' }));
  }
}
