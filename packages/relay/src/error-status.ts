import type { RelayErrorCode } from './errors.ts';

/** The one table from a failure to its HTTP status (RFC 9110 section 15). */
export const HTTP_STATUS: Readonly<Record<RelayErrorCode, number>> = {
  'bad-request': 400,
  unauthenticated: 401,
  forbidden: 403,
  'not-found': 404,
  conflict: 409,
  'too-many-requests': 429,
  'workspace-unknown': 404,
  'workspace-starting': 503,
  'workspace-stopped': 503,
  'agent-never-connected': 503,
  'agent-disconnected': 503,
  'port-not-listening': 502,
  'port-not-allowed': 403,
  'upstream-failed': 502,
  'upstream-timeout': 504,
  misdirected: 421,
  insecure: 403,
  unavailable: 503,
  'config-invalid': 500,
  internal: 500,
};
