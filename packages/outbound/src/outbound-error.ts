/** Why nothing could be dialled: a sentence without a full stop, which repeats no credentials. */
export class OutboundError extends Error {
  override readonly name = 'OutboundError';
  /** `proxy-setting`: what the environment says of a proxy cannot be used; trying again does not help. */
  readonly kind: 'proxy-setting' | 'unreachable';

  constructor(kind: OutboundError['kind'], message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.kind = kind;
  }
}
