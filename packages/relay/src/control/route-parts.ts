import { errorSchema } from '@burrow/api';
import type { FastifyBaseLogger, FastifyInstance, RawServerDefault } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { z } from 'zod';

/** What every file of routes below `/api/v1` is given; everything there is behind `requirePrincipal`. */
export type ApiApp = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  ZodTypeProvider
>;

export const named = z.strictObject({ name: z.string().max(100) });
export const identified = z.strictObject({ id: z.string().max(100) });
export const nothing = z.null().describe('Done.');
export const security = [{ token: [] }];

export function answer<S extends z.ZodType>(status: number, schema: S): Record<number, S> {
  return { [status]: schema, default: errorSchema } as Record<number, S>;
}
