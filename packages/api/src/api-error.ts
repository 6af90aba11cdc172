import { errorSchema, type ErrorBody, type ErrorDetail } from './error.ts';

/** The relay said no, or did not answer as a relay does. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  /** HTTP status; 0: no answer came. */
  readonly status: number;
  readonly code: string;
  readonly blame: ErrorBody['error']['blame'];
  /** Empty when the answer did not come from a relay. */
  readonly requestId: string;
  readonly details: readonly ErrorDetail[];

  constructor(status: number, error: ErrorBody['error'], options?: { cause?: unknown }) {
    super(error.message, options);
    this.status = status;
    this.code = error.code;
    this.blame = error.blame;
    this.requestId = error.requestId;
    this.details = error.details ?? [];
  }

  /** From any answer with a status of 400 or above, a proxy's error page too. */
  static from(status: number, body: string): ApiError {
    const parsed = errorSchema.safeParse(parseJson(body));
    if (parsed.success) return new ApiError(status, parsed.data.error);
    return new ApiError(status, {
      code: 'not-a-relay',
      message: `The answer (HTTP ${status}) did not come from a Burrow relay: check its URL, and any proxy before it.`,
      blame: 'client',
      requestId: '',
    });
  }
}

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
