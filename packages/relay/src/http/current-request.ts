/** What policy, log and metrics are told of the request that is being answered. */
import { AccessWatch, logLost } from './access-watch.ts';
import type { Engine } from './engine.ts';
import { failureAnswer } from './failure-answer.ts';
import type { Decision, LocalResponse, RequestHead } from './gate-policy.ts';
import type { HttpOutcome } from './gateway-deps.ts';
import type { Route } from './route.ts';

/** What a client does to itself needs no line each: closing a tab does it. The other has been told (`logAccessLost`). */
const NEEDS_NO_LINE: ReadonlySet<string> = new Set(['client ended', 'access was taken away']);

export interface AccessEvents {
  /** The policy no longer lets through what it once let through. */
  onAccessLost(decision: Decision): void;
}

export abstract class CurrentRequest {
  /** Where it goes, once that is decided. */
  route: Route | undefined;
  /** Id of the channel that carries it, for the log. */
  channel: string | undefined;
  /** When its head was complete: monotonic ms. */
  started = 0;
  protected readonly engine: Engine;
  readonly #events: AccessEvents;
  #watch: AccessWatch | undefined;

  constructor(engine: Engine, events: AccessEvents) {
    this.engine = engine;
    this.#events = events;
  }

  abstract readonly head: RequestHead;

  protected restart(): void {
    this.route = undefined;
    this.channel = undefined;
    this.#watch = undefined;
    this.started = this.engine.now();
    this.engine.deps.metrics?.onRequest();
  }

  /** Counts it. `status` 0: nothing was answered. */
  done(outcome: HttpOutcome, status: number): void {
    this.engine.done(outcome, status, this.started);
  }

  /** The policy's words for what went wrong on its way. */
  failure(error: unknown): LocalResponse {
    const context = this.route?.context ?? {};
    return failureAnswer(this.engine.deps, this.head, error, context, this.channel);
  }

  /** Called about every second while an app has it. */
  lookAtAccess(): void {
    const decision = this.route?.decision;
    if (decision?.kind !== 'app') return;
    if (this.#watch === undefined) {
      const watch = new AccessWatch(this.engine.deps.policy, this.head, decision, (now) => {
        if (this.#watch === watch) this.#events.onAccessLost(now);
      });
      this.#watch = watch;
    }
    this.#watch.look();
  }

  logAccessLost(decision: Decision): void {
    logLost(this.engine.deps.log, this.head, decision, this.channel);
  }

  /** An answer or an upgraded connection is cut where HTTP has no words for the reason: the log has them. */
  logCut(reason: string): void {
    if (NEEDS_NO_LINE.has(reason)) return;
    const { id: request, authority: host } = this.head;
    this.engine.deps.log.info({ request, host, channel: this.channel, reason }, 'a request is cut');
  }
}
