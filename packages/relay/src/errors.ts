/**
 * Every failure a user of the relay can meet. `docs/errors.md` lists them; a
 * test keeps the two in step.
 */
export const RELAY_ERROR_CODES = [
  'bad-request',
  'unauthenticated',
  'forbidden',
  'not-found',
  'conflict',
  'too-many-requests',
  'workspace-unknown',
  'workspace-starting',
  'workspace-stopped',
  'agent-never-connected',
  'agent-disconnected',
  'port-not-listening',
  'port-not-allowed',
  'upstream-failed',
  'upstream-timeout',
  'misdirected',
  'insecure',
  'unavailable',
  'config-invalid',
  'internal',
] as const;

export type RelayErrorCode = (typeof RELAY_ERROR_CODES)[number];

/** Who failed, as told to the user. */
export type Blame = 'client' | 'relay' | 'agent' | 'app' | 'policy';

/** The only error class of this package. `message` is a sentence for a person, without secrets. */
export class RelayError extends Error {
  override readonly name = 'RelayError';
  readonly code: RelayErrorCode;
  readonly blame: Blame;
  /** Seconds after which a retry makes sense. */
  readonly retryAfter: number | undefined;

  constructor(
    code: RelayErrorCode,
    message: string,
    options: { cause?: unknown; blame?: Blame; retryAfter?: number } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.blame = options.blame ?? 'relay';
    this.retryAfter = options.retryAfter;
  }
}
