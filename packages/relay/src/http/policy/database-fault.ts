import { SqlError } from '../../db/sql-error.ts';
import { RelayError } from '../../errors.ts';

export interface FaultLog {
  error(fields: object, message: string): void;
}

/** Every request meets the same fault: one line for so long (ms) tells enough. */
const LOG_EVERY_MS = 10_000;
/** Seconds; a busy database or a full disk is seldom better sooner. */
const RETRY_AFTER = 2;

/**
 * Turns a fault of the database into RelayError `unavailable` (503): it is not the
 * request's fault and not a bug of the gate. Anything else is returned as it is.
 */
export function databaseFaults(
  log: FaultLog | undefined,
  now: () => number,
): (error: unknown) => unknown {
  let loggedAt: number | undefined;
  let unsaid = 0;
  return (error) => {
    const gone = error instanceof RelayError && error.code === 'unavailable';
    if (!gone && !(error instanceof SqlError)) return error;
    const time = now();
    if (loggedAt === undefined || Math.abs(time - loggedAt) >= LOG_EVERY_MS) {
      log?.error(
        { err: error, notLogged: unsaid },
        'the database failed while requests were judged',
      );
      loggedAt = time;
      unsaid = 0;
    } else unsaid += 1;
    // What SQLite says is for the operator, not for whoever asks.
    return new RelayError(
      'unavailable',
      'The relay cannot look up who may do this: its database does not answer.',
      { cause: error, retryAfter: RETRY_AFTER },
    );
  };
}
