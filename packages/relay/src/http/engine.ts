/** What all fronts share. Only `gateway.ts` makes one. */
import type { ConnectionInfo } from '../listen/connection.ts';
import type { GatewayDeps, HttpOutcome } from './gateway-deps.ts';
import type { HttpLimits } from './limits.ts';
import type { Routes } from './route.ts';

export interface Engine {
  readonly deps: GatewayDeps;
  readonly limits: HttpLimits;
  readonly routes: Routes;
  readonly now: () => number;
  /** Responses close their connection from now on. */
  readonly draining: boolean;
  /** Per-request lines are wanted in the log. */
  readonly debug: boolean;
  readonly connections: Set<FrontConnection>;
  done(outcome: HttpOutcome, status: number, started: number): void;
}

/** A client's connection (or HTTP/2 request) as the gateway's lifecycle sees it. */
export interface FrontConnection {
  /** Nothing is being answered. */
  readonly idle: boolean;
  /** Called about every second with the monotonic time. */
  tick(now: number): void;
  /** Ends as soon as what is being answered is complete. */
  drain(): void;
  /**
   * The grace is over. What can be told why it ends is told, and ends by itself within
   * `webSocketCloseMs`; false: there is nothing to tell it with.
   */
  leave(): boolean;
  destroy(reason: string): void;
}

export type { ConnectionInfo };
