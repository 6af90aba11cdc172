/** From a decision to an upstream: header lines, response rules, the connection. */
import { TunnelError } from '@burrow/tunnel';
import { lookup } from './characters.ts';
import { RelayError } from '../errors.ts';
import { duplexToByteStream } from './byte-stream.ts';
import type { Exchange, RequestPlan, ResponseSink } from './exchange.ts';
import type { Decision, FailureContext } from './gate-policy.ts';
import type { GatewayDeps } from './gateway-deps.ts';
import { requestLines, type ForwardedBy, type ResponseRules } from './headers.ts';
import type { HttpLimits } from './limits.ts';
import { vouchedHops } from '../listen/forwarded.ts';
import { beginH2c } from './upstream-h2c.ts';
import { connectTls } from './upstream-tls.ts';
import type { Bucket, UpstreamPool } from './upstream-pool.ts';

export type Passed = Extract<Decision, { kind: 'app' | 'control' }>;

/** What requests with the same fields and the same decision share. */
export interface Route {
  readonly decision: Passed;
  readonly bucket: Bucket;
  /** Request field lines without framing; `\r\n` ends the last one. */
  readonly lines: string;
  readonly rules: ResponseRules;
  readonly context: FailureContext;
}

export interface RouteRequest {
  readonly headers: readonly string[];
  readonly connection: readonly string[];
  readonly upgrade: string | undefined;
  readonly by: ForwardedBy;
}

const NO_PAIRS: readonly string[] = Object.freeze([]);

export class Routes {
  readonly pool: UpstreamPool;
  readonly limits: HttpLimits;
  readonly #deps: GatewayDeps;

  constructor(deps: GatewayDeps, pool: UpstreamPool, limits: HttpLimits) {
    this.#deps = deps;
    this.pool = pool;
    this.limits = limits;
  }

  prepare(decision: Passed, request: RouteRequest): Route {
    const authority = request.by.authority;
    const host = authority.replace(/:[0-9]+$/, '');
    if (decision.kind === 'control') {
      const bucket = this.pool.bucket('control');
      return {
        decision,
        bucket,
        lines: requestLines(request.headers, request.connection, this.#vouched(request.by), {
          stripOurs: false,
          host: authority,
          origin: undefined,
          upgrade: request.upgrade,
        }),
        rules: bucket.rules({ guardCookies: false, host, set: NO_PAIRS, origin: undefined }),
        context: {},
      };
    }
    const { policy, port, principal, route } = decision;
    const bucket = this.pool.bucket(
      `${policy.protocol}\n${port}\n${route.agentId}\n${principal.userId}`,
    );
    const outer = `${request.by.secure ? 'https' : 'http'}://${authority}`;
    const inner = `${policy.protocol === 'https' ? 'https' : 'http'}://localhost:${port}`;
    const rewrite = policy.host === 'localhost';
    return {
      decision,
      bucket,
      lines: requestLines(request.headers, request.connection, request.by, {
        stripOurs: true,
        host: rewrite ? `localhost:${port}` : asGiven(request.headers, authority),
        origin: rewrite ? { from: outer, to: inner } : undefined,
        upgrade: request.upgrade,
      }),
      rules: bucket.rules({
        guardCookies: true,
        host,
        set: decision.responseHeaders ?? NO_PAIRS,
        origin: rewrite ? { from: inner, to: outer } : undefined,
      }),
      context: { route, port },
    };
  }

  /** The control server believes all of X-Forwarded-For: it gets what trusted proxies vouch for. */
  #vouched(by: ForwardedBy): ForwardedBy {
    const hops = vouchedHops(by.forwardedFor, this.#deps.trusted);
    return { ...by, forwardedFor: hops.length === 0 ? undefined : hops.join(', ') };
  }

  /**
   * Sends a request. Undefined: the agent has no link now (`waitForLink`, then
   * again). `fresh`: never on a connection that served before. Throws TunnelError.
   */
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
    const decision = route.decision;
    if (decision.kind === 'app' && decision.policy.protocol === 'h2c' && !plan.upgrade) {
      const connect = () => this.#open(decision, 'auto');
      return beginH2c(route, sink, plan, target, framing, body, repeatable, fresh, connect);
    }
    const head = `${plan.method} ${target} HTTP/1.1\r\n${route.lines}${framing}\r\n`;
    if (!fresh && !plan.upgrade) {
      const kept = this.pool.take(route.bucket, repeatable);
      if (kept !== undefined) {
        kept.send(sink, plan, head, body);
        return kept;
      }
    }
    const upstream =
      decision.kind === 'control'
        ? route.bucket.adopt(duplexToByteStream(this.#deps.control.connect()))
        : this.#connect(route.bucket, decision, plan.upgrade ? 'interactive' : 'auto');
    upstream?.send(sink, plan, head, body);
    return upstream;
  }

  /** Rejects with RelayError `agent-disconnected` or `agent-never-connected`, or the signal's reason. */
  async waitForLink(decision: Passed, signal: AbortSignal): Promise<void> {
    if (decision.kind === 'control') return;
    const bound = AbortSignal.any([signal, AbortSignal.timeout(this.limits.waitForAgentMs)]);
    try {
      await this.#deps.router.waitFor(decision.route.agentId, bound);
    } catch (error) {
      if (signal.aborted) throw error;
      // Not the agent's fault: nobody can say where it is.
      if (error instanceof TunnelError && error.code === 'unavailable') throw error;
      const { name, agentLastSeen, state } = decision.route;
      throw state === 'starting'
        ? new RelayError('workspace-starting', `The workspace ${name} is starting.`, {
            retryAfter: 1,
          })
        : agentLastSeen === undefined
          ? new RelayError('agent-never-connected', `The agent of ${name} has never connected.`, {
              cause: error,
              blame: 'agent',
              retryAfter: 5,
            })
          : new RelayError('agent-disconnected', `The agent of ${name} is not connected.`, {
              cause: error,
              blame: 'agent',
              retryAfter: 5,
            });
    }
  }

  #connect(bucket: Bucket, decision: Passed & { kind: 'app' }, traffic: 'auto' | 'interactive') {
    if (decision.policy.protocol === 'https') {
      const channel = this.#open(decision, traffic);
      if (channel === undefined) return undefined;
      return bucket.adopt(connectTls(channel, this.limits.upstreamHandshakeMs));
    }
    const channel = this.#open(decision, traffic);
    return channel === undefined ? undefined : bucket.adopt(channel);
  }

  #open(decision: Passed & { kind: 'app' }, traffic: 'auto' | 'interactive') {
    const { route, port, principal } = decision;
    // The handler comes with `adopt`, before the event loop turns.
    return this.#deps.router.open(
      route.agentId,
      {
        target: { kind: 'tcp', port },
        principal: { userId: principal.userId, username: principal.username },
        traffic,
      },
      NOBODY,
    );
  }
}

const NOBODY = Object.freeze({ onData() {}, onEnd() {}, onClose() {} });

/** The host as the client spelt it; `authority` is the same in lower case. */
function asGiven(headers: readonly string[], authority: string): string {
  const given = lookup(headers, 'host');
  return given?.toLowerCase() === authority ? given : authority;
}
