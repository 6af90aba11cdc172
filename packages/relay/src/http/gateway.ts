import type { ServerHttp2Stream } from 'node:http2';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ConnectionInfo } from '../listen/connection.ts';
import type { Engine, FrontConnection } from './engine.ts';
import type { GatewayDeps } from './gateway-deps.ts';
import { H1Front } from './h1-front.ts';
import { H2Front } from './h2-front.ts';
import { DEFAULT_HTTP_LIMITS } from './limits.ts';
import { Routes } from './route.ts';
import { UpstreamPool } from './upstream-pool.ts';

export interface Gateway {
  /**
   * Serves HTTP/1 on a socket until it closes. The socket must allow half-open
   * (`allowHalfOpen: true`): upgraded connections end one side at a time.
   * `head`: bytes already read from it.
   */
  handleSocket(socket: Duplex, info: ConnectionInfo, head?: Buffer): void;
  /** Serves one HTTP/2 request. `rawHeaders`: the fourth argument of the server's `stream` event. */
  handleStream(
    stream: ServerHttp2Stream,
    rawHeaders: readonly string[],
    info: ConnectionInfo,
  ): void;
  /** Finishes what runs, closes what idles, and cuts the rest after `graceMs`. */
  drain(graceMs: number): Promise<void>;
  /** Cuts everything now. Idempotent. */
  close(): void;
  /** Connections and HTTP/2 requests being served. */
  readonly connections: number;
  /** Idle upstream connections. */
  readonly idleUpstreams: number;
}

/** How often deadlines are looked at: they need no more, and no timer per request. */
const TICK_MS = 500;
/** How often those that were told are looked at, for a second at most. */
const LEAVE_LOOK_MS = 10;

export function createGateway(deps: GatewayDeps): Gateway {
  const limits = Object.freeze({ ...DEFAULT_HTTP_LIMITS, ...deps.limits });
  const now = deps.now ?? (() => performance.now());
  const pool = new UpstreamPool(limits, now);
  const connections = new Set<FrontConnection>();
  let draining = false;
  let closed = false;
  let wake: (() => void) | undefined;
  const engine: Engine = {
    deps,
    limits,
    routes: new Routes(deps, pool, limits),
    now,
    get draining() {
      return draining;
    },
    debug: deps.log.isLevelEnabled?.('debug') ?? false,
    connections,
    done(outcome, status, started) {
      deps.metrics?.onResponse(outcome, status, now() - started);
    },
  };
  const timer = setInterval(() => {
    const time = now();
    for (const connection of connections) connection.tick(time);
    pool.sweep();
    if (connections.size === 0) wake?.();
  }, TICK_MS);
  timer.unref();

  const close = (): void => {
    if (closed) return;
    closed = true;
    draining = true;
    clearInterval(timer);
    for (const connection of connections) connection.destroy('The relay is stopping.');
    pool.close();
    wake?.();
  };

  /** Resolves once all that could be told why they end have ended, or have had their time. */
  const leave = async (): Promise<void> => {
    const leaving = [...connections].filter((connection) => connection.leave());
    const until = performance.now() + limits.webSocketCloseMs;
    while (leaving.some((each) => connections.has(each)) && performance.now() < until) {
      await sleep(LEAVE_LOOK_MS);
    }
  };

  return {
    handleSocket(socket, info, head) {
      if (closed) {
        socket.on('error', () => {});
        socket.destroy();
        return;
      }
      // It lives as long as its socket.
      new H1Front(engine, socket, info, head);
    },
    handleStream(stream, rawHeaders, info) {
      if (closed) {
        stream.on('error', () => {});
        stream.destroy();
        return;
      }
      new H2Front(engine, stream, rawHeaders, info);
    },
    async drain(graceMs) {
      if (closed) return;
      draining = true;
      for (const connection of connections) connection.drain();
      if (connections.size > 0 && graceMs > 0) {
        await new Promise<void>((resolve) => {
          const bound = setTimeout(resolve, graceMs);
          wake = () => {
            clearTimeout(bound);
            resolve();
          };
        });
      }
      if (graceMs > 0) await leave();
      close();
    },
    close,
    get connections() {
      return connections.size;
    },
    get idleUpstreams() {
      return pool.idle;
    },
  };
}
