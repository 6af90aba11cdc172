import type { TunnelError, TunnelErrorCode } from '@burrow/tunnel';

/** RFC 6455 section 7.4.2: 4000 to 4999 are an application's own; here 4000 and the HTTP status. */
const BY_CODE: Partial<Record<TunnelErrorCode, number>> = {
  'token-unknown': 4401,
  'token-revoked': 4401,
  'token-expired': 4401,
  'token-malformed': 4401,
  'not-allowed': 4404,
  revoked: 4403,
  'protocol-error': 4400,
  limit: 4429,
  'too-many-links': 4429,
  'nothing-listens': 4502,
  unreachable: 4503,
  'agent-gone': 4503,
  unavailable: 4503,
  draining: 4503,
  'link-lost': 4503,
  'link-silent': 4503,
  'target-closed': 4502,
  unsupported: 4502,
  'timed-out': 4504,
  internal: 4500,
};

/** RFC 6455 section 5.5: a close frame carries at most 125 bytes, two of them the code. */
const MAX_REASON_BYTES = 123;

/** How a WebSocket ends that carried a channel: code and sentence. */
export function closeOf(error: TunnelError | undefined): [code: number, reason: string] {
  if (error === undefined) return [1000, ''];
  return [BY_CODE[error.code] ?? 4500, clip(error.message)];
}

/** The longest beginning that fits, cut between words. */
function clip(text: string): string {
  if (Buffer.byteLength(text) <= MAX_REASON_BYTES) return text;
  let kept = text.slice(0, MAX_REASON_BYTES);
  while (Buffer.byteLength(kept) > MAX_REASON_BYTES - 3) kept = kept.slice(0, -1);
  return `${kept.slice(0, Math.max(kept.lastIndexOf(' '), 1))}…`;
}
