/**
 * Why a channel or a link ended. Channel codes mirror `ResetCode` in
 * tunnel.proto; link codes mirror the `burrow-error-code` trailer.
 */
export const CHANNEL_ERROR_CODES = [
  'cancelled',
  'not-allowed',
  'nothing-listens',
  'unreachable',
  'target-closed',
  'timed-out',
  'limit',
  'revoked',
  'agent-gone',
  'draining',
  'protocol-error',
  'internal',
  'unsupported',
  'unknown-channel',
  'never-opened',
] as const;

export const LINK_ERROR_CODES = [
  'token-unknown',
  'token-revoked',
  'token-expired',
  'token-malformed',
  'unsupported-revision',
  'too-many-links',
  'unavailable',
  'link-lost',
  'link-silent',
] as const;

export type ChannelErrorCode = (typeof CHANNEL_ERROR_CODES)[number];
export type LinkErrorCode = (typeof LINK_ERROR_CODES)[number];
export type TunnelErrorCode = ChannelErrorCode | LinkErrorCode;

/** The only error class of this package. `message` is a sentence for a person. */
export class TunnelError extends Error {
  override readonly name = 'TunnelError';
  readonly code: TunnelErrorCode;
  /** True when the other side said so; false when this side found out by itself. */
  readonly remote: boolean;

  constructor(
    code: TunnelErrorCode,
    message: string,
    options: { cause?: unknown; remote?: boolean } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.remote = options.remote ?? false;
  }
}
