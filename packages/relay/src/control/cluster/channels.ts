import {
  channelIdSchema,
  channelListSchema,
  channelQuerySchema,
  traceEventSchema,
  traceQuerySchema,
} from '@burrow/api';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { by } from '../../audit/event.ts';
import { RelayError } from '../../errors.ts';
import type { ControlContext } from '../context.ts';
import type { Authenticate } from '../require-principal.ts';
import { answer, security, type ApiApp } from '../route-parts.ts';
import { requireAdmin } from './require-admin.ts';

/** Looking at channels, over all relays. */
export function addChannelRoutes(
  app: ApiApp,
  { tracing, audit }: Pick<ControlContext, 'tracing' | 'audit'>,
  authenticate: Authenticate,
): void {
  app.get(
    '/cluster/channels',
    {
      schema: {
        security,
        summary: 'List open channels (administrators)',
        querystring: channelQuerySchema,
        response: answer(200, channelListSchema),
      },
    },
    (request) => {
      requireAdmin(request);
      return tracing.list(request.query);
    },
  );
  app.get(
    '/cluster/channels/:id/trace',
    {
      schema: {
        security,
        summary: 'Watch the frames of a channel (administrators)',
        description:
          'One event a line, as it happens, until the channel ends. Never what it carries.',
        params: z.strictObject({ id: channelIdSchema }),
        querystring: traceQuerySchema,
        produces: ['application/x-ndjson'],
        response: answer(200, traceEventSchema),
      },
    },
    async (request, reply) => {
      const actor = requireAdmin(request);
      const gone = new AbortController();
      reply.raw.once('close', () => gone.abort());
      const { id, workspace, user, lines } = await tracing.trace({
        id: request.params.id,
        data: request.query.data === 'true',
        mayWatch: () => isAdminStill(authenticate, request),
        signal: gone.signal,
      });
      audit.record({
        ...{ action: 'channel.traced', outcome: 'ok', ...by(actor), channel: id },
        ...(workspace === null ? {} : { workspace }),
        detail: user === null ? '' : `a channel of ${user}`,
      });
      void reply.header('content-type', 'application/x-ndjson; charset=utf-8');
      return reply.send(lines as never);
    },
  );
}

/** Rejects when nobody can say. */
async function isAdminStill(authenticate: Authenticate, request: FastifyRequest): Promise<boolean> {
  try {
    return (await authenticate(request))?.admin === true;
  } catch (error) {
    // What a token gets that was revoked meanwhile.
    if (error instanceof RelayError && error.code === 'unauthenticated') return false;
    throw error;
  }
}
