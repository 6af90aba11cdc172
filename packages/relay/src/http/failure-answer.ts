import type { TunnelError } from '@burrow/tunnel';
import { RelayError } from '../errors.ts';
import type { FailureContext, LocalResponse, RequestHead } from './gate-policy.ts';
import type { GatewayDeps } from './gateway-deps.ts';

/**
 * The policy's words for what went wrong. What nobody foresaw is logged, and told as `internal`.
 * `channel`: the one it went wrong on, for the log.
 */
export function failureAnswer(
  deps: GatewayDeps,
  head: RequestHead,
  error: unknown,
  context: FailureContext,
  channel: string | undefined,
): LocalResponse {
  if (isKnown(error)) {
    deps.log.debug(
      { request: head.id, channel, code: error.code, reason: error.message },
      'request failed',
    );
    return deps.policy.failure(head, error, context);
  }
  deps.log.error({ err: error, request: head.id, channel }, 'request failed unexpectedly');
  const told = new RelayError('internal', 'The relay failed to handle the request.', {
    cause: error,
  });
  return deps.policy.failure(head, told, context);
}

function isKnown(error: unknown): error is RelayError | TunnelError {
  return error instanceof RelayError || (error instanceof Error && error.name === 'TunnelError');
}
