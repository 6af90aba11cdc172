import { timingSafeEqual, createHash } from 'node:crypto';
import type { FastifyPluginAsync, FastifyRequest } from 'fastify';
import type { Registry } from 'prom-client';
import { isLoopback } from '../config/address-range.ts';

export interface Readiness {
  readonly ready: boolean;
  /** Each part's own word. */
  readonly parts: Readonly<Record<string, string>>;
}

export interface ObserveRoutesOptions {
  readonly readiness: () => Readiness;
  /** Undefined: metrics are switched off. */
  readonly registry: Registry | undefined;
  /** Undefined: only loopback peers may read metrics. */
  readonly metricsToken: string | undefined;
}

/** `/healthz`, `/readyz` and `/metrics` of the control host. */
export function observeRoutes(options: ObserveRoutesOptions): FastifyPluginAsync {
  const { registry, metricsToken } = options;
  return async (app) => {
    app.get('/healthz', { schema: { hide: true } }, async (_request, reply) => {
      reply.header('cache-control', 'no-store');
      return { status: 'ok' };
    });

    app.get('/readyz', { schema: { hide: true } }, async (_request, reply) => {
      const { ready, parts } = options.readiness();
      return reply
        .code(ready ? 200 : 503)
        .header('cache-control', 'no-store')
        .send({ status: ready ? 'ready' : 'not ready', parts });
    });

    if (registry === undefined) return;
    app.get('/metrics', { schema: { hide: true } }, async (request, reply) => {
      if (!mayRead(request, metricsToken)) {
        return reply
          .code(401)
          .header('www-authenticate', 'Bearer realm="burrow metrics"')
          .send({
            error: {
              code: 'unauthenticated',
              message:
                'Metrics are for loopback peers, or for the bearer token of setting metrics.token.',
            },
          });
      }
      return reply.header('content-type', registry.contentType).send(await registry.metrics());
    });
  };
}

function mayRead(request: FastifyRequest, token: string | undefined): boolean {
  if (token !== undefined) {
    const given = /^bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1];
    return given !== undefined && timingSafeEqual(hash(given), hash(token));
  }
  // Every hop: what a proxy on this machine forwards for others is not loopback.
  const hops = request.ips ?? [request.ip];
  return hops.every((address) => isLoopback(address));
}

function hash(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
