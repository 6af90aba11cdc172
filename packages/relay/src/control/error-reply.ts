import { STATUS_CODES } from 'node:http';
import type { ErrorBody, ErrorDetail } from '@burrow/api';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod';
import { SqlError } from '../db/sql-error.ts';
import { HTTP_STATUS } from '../error-status.ts';
import { RelayError } from '../errors.ts';
import type { ControlLogger } from './context.ts';

/** Every failure becomes one shape; what nobody foresaw says no more than its request's id. */
export function errorHandler(logger: ControlLogger) {
  return (error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    if (error instanceof RelayError) {
      if (error.retryAfter !== undefined) reply.header('retry-after', Math.ceil(error.retryAfter));
      if (error.code === 'unauthenticated') reply.header('www-authenticate', 'Bearer');
      if (error.code === 'internal' || error.code === 'unavailable') {
        logger.error({ err: error, requestId: request.id }, 'a request failed');
      }
      return send(reply, HTTP_STATUS[error.code], request, {
        code: error.code,
        message: error.message,
        blame: error.blame,
      });
    }
    if (hasZodFastifySchemaValidationErrors(error)) {
      const details = error.validation.map((issue) => ({
        path: [error.validationContext ?? '', ...issue.instancePath.split('/')]
          .filter(Boolean)
          .join('.'),
        message: issue.message ?? 'is not valid',
      }));
      return send(reply, 400, request, badRequest('The request is not valid', details));
    }
    const status = (error as { statusCode?: number }).statusCode;
    if (status !== undefined && status >= 400 && status < 500) {
      // Fastify's own refusals: too large, not JSON, unsupported media type.
      const why = (error as Error).message || STATUS_CODES[status] || 'Bad request';
      return send(reply, status, request, badRequest(why));
    }
    logger.error({ err: error, requestId: request.id }, 'a request failed');
    const database = error instanceof SqlError;
    return send(reply, database ? 503 : 500, request, {
      code: database ? 'unavailable' : 'internal',
      message: database
        ? "The relay's database refused. Its operator finds more in the log under this request's id."
        : "The relay failed. Its operator finds more in the log under this request's id.",
      blame: 'relay',
    });
  };
}

export function noRoute(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  return send(reply, 404, request, {
    code: 'not-found',
    message: `There is nothing at ${request.method} ${request.url.split('?')[0]!.slice(0, 200)}.`,
    blame: 'client',
  });
}

type Told = Omit<ErrorBody['error'], 'requestId'>;

function badRequest(what: string, details?: ErrorDetail[]): Told {
  const listed = details?.map(({ path, message }) => `${path}: ${message}`).join('; ');
  return {
    code: 'bad-request',
    message: listed ? `${what}: ${listed}.` : what,
    blame: 'client',
    ...(details ? { details } : {}),
  };
}

function send(
  reply: FastifyReply,
  status: number,
  request: FastifyRequest,
  told: Told,
): FastifyReply {
  const body: ErrorBody = { error: { ...told, requestId: request.id } };
  return reply
    .code(status)
    .header('cache-control', 'no-store')
    .type('application/json; charset=utf-8')
    .serializer((payload: unknown) => JSON.stringify(payload))
    .send(body);
}
