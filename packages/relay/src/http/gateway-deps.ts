import type { Duplex } from 'node:stream';
import type { AddressSet } from '../config/address-range.ts';
import type { Router } from '../routing/router.ts';
import type { GatePolicy } from './gate-policy.ts';
import type { HttpLimits } from './limits.ts';

/** pino fits. */
export interface HttpLog {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  isLevelEnabled?(level: string): boolean;
}

/**
 * `app`, `control`: answered by them. `local`: by the gateway's own rules.
 * `failed`: the way to the app, or the app, failed. `aborted`: the client went away. `malformed`: refused by the parser.
 */
export type HttpOutcome = 'app' | 'control' | 'local' | 'failed' | 'aborted' | 'malformed';

export interface HttpMetrics {
  onRequest(): void;
  /** `latencyMs`: from the whole request head to the response head; status 0: none was sent. */
  onResponse(outcome: HttpOutcome, status: number, latencyMs: number): void;
}

export interface GatewayDeps {
  readonly policy: GatePolicy;
  readonly router: Router;
  /** The control plane's HTTP/1 server in this process. */
  readonly control: { connect(): Duplex };
  /** Proxies whose X-Forwarded-* are believed. */
  readonly trusted: AddressSet;
  readonly log: HttpLog;
  readonly metrics?: HttpMetrics;
  readonly limits?: Partial<HttpLimits>;
  /** Monotonic ms. */
  readonly now?: () => number;
}
