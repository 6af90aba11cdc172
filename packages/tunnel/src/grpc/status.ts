import { TunnelError, LINK_ERROR_CODES } from '../errors.ts';
import type { LinkErrorCode, TunnelErrorCode } from '../errors.ts';

/** gRPC status codes (github.com/grpc/grpc/blob/master/doc/statuscodes.md) that links end with. */
const STATUS = {
  OK: 0,
  CANCELLED: 1,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  UNAUTHENTICATED: 16,
} as const;

export const ERROR_CODE_TRAILER = 'burrow-error-code';

export function statusOf(code: TunnelErrorCode): number {
  switch (code) {
    case 'token-unknown':
    case 'token-revoked':
    case 'token-expired':
    case 'token-malformed':
    case 'revoked':
      return STATUS.UNAUTHENTICATED;
    case 'unsupported-revision':
      return STATUS.FAILED_PRECONDITION;
    case 'too-many-links':
    case 'limit':
      return STATUS.RESOURCE_EXHAUSTED;
    case 'protocol-error':
      return STATUS.INVALID_ARGUMENT;
    case 'timed-out':
    case 'link-silent':
      return STATUS.DEADLINE_EXCEEDED;
    case 'cancelled':
      return STATUS.CANCELLED;
    case 'internal':
      return STATUS.INTERNAL;
    default:
      return STATUS.UNAVAILABLE;
  }
}

/** The trailers that tell a dialler why its link ended. */
export function trailersOf(error: TunnelError): Record<string, string> {
  return {
    'grpc-status': String(statusOf(error.code)),
    // Percent-encoded, as gRPC's HTTP/2 mapping asks.
    'grpc-message': encodeURIComponent(error.message).replaceAll('%20', ' '),
    [ERROR_CODE_TRAILER]: error.code,
  };
}

/** What a relay's trailers say. Undefined when they carry no gRPC status. */
export function errorFromTrailers(
  headers: Readonly<Record<string, unknown>>,
): TunnelError | undefined {
  const status = headers['grpc-status'];
  if (typeof status !== 'string') return undefined;
  const code = headers[ERROR_CODE_TRAILER];
  return new TunnelError(
    isTunnelCode(code) ? code : 'unavailable',
    decode(headers['grpc-message']) || `The relay ended the link (gRPC status ${status}).`,
    { remote: true },
  );
}

const KNOWN = new Set<string>([
  ...LINK_ERROR_CODES,
  'draining',
  'limit',
  'timed-out',
  'protocol-error',
  'revoked',
  'internal',
]);

export function isTunnelCode(code: unknown): code is LinkErrorCode {
  return typeof code === 'string' && KNOWN.has(code);
}

function decode(message: unknown): string {
  if (typeof message !== 'string') return '';
  try {
    return decodeURIComponent(message);
  } catch {
    return message;
  }
}
