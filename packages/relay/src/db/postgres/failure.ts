import pg from 'pg';
import { RelayError } from '../../errors.ts';
import { SqlError } from '../sql-error.ts';

/**
 * What a failed statement or connection means. `statement`: only this one; `busy`: come back;
 * `storage`: PostgreSQL cannot write; `lost`: there is no connection any more.
 */
export type FailureKind = 'statement' | 'busy' | 'storage' | 'lost';

// SQLSTATE, from appendix A of PostgreSQL's manual.
/** query_canceled (statement_timeout), lock_not_available, serialization_failure, deadlock_detected. */
const BUSY = new Set(['57014', '55P03', '40001', '40P01']);
/** read_only_sql_transaction; and the classes insufficient_resources, system_error, data corrupted. */
const STORAGE = /^(25006|53...|58...|XX00[12])$/;
/** connection_exception, admin_shutdown, crash_shutdown, cannot_connect_now, idle timeouts, too_many_connections. */
const LOST = /^(08...|57P0[1235]|25P03|53300)$/;

export function sqlState(error: unknown): string | undefined {
  return error instanceof pg.DatabaseError ? error.code : undefined;
}

export function kindOf(error: unknown): FailureKind {
  const state = sqlState(error);
  if (state === undefined || LOST.test(state)) return 'lost';
  if (BUSY.has(state)) return 'busy';
  return STORAGE.test(state) ? 'storage' : 'statement';
}

/** Every seat of the pool is taken; that says nothing about PostgreSQL. Text of pg-pool. */
export function isPoolFull(error: unknown): boolean {
  return error instanceof Error && error.message === 'timeout exceeded when trying to connect';
}

/** The error that the rooms see; what PostgreSQL said is its cause, for the log. */
export function told(error: unknown): SqlError | RelayError {
  switch (kindOf(error)) {
    case 'statement':
    case 'storage':
      return because(error);
    case 'busy':
      return new RelayError('unavailable', 'The database was busy.', {
        cause: because(error),
        retryAfter: 1,
      });
    case 'lost':
      return isPoolFull(error)
        ? new RelayError(
            'unavailable',
            'The database was busy: none of its connections was free.',
            {
              retryAfter: 1,
            },
          )
        : new RelayError('unavailable', "The relay's database does not answer.", {
            cause: because(error),
            retryAfter: 1,
          });
  }
}

/** Only texts: errors of the library may hold its client, and that the password. */
function because(error: unknown): SqlError {
  return new SqlError({ message: textOf(error), sqlite: 0, state: sqlState(error) ?? '' });
}

/** What went wrong, without the library's objects. */
export function textOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return textOf(error.errors[0]);
  if (!(error instanceof Error)) return String(error);
  const code = sqlState(error) ?? (error as NodeJS.ErrnoException).code;
  return code === undefined || error.message.includes(code)
    ? error.message
    : `${error.message} (${code})`;
}

/** invalid_authorization, invalid_password, invalid_catalog_name, insufficient_privilege, invalid_schema_name. */
const REFUSED = /^(28...|3D000|42501|3F000)$/;

/** For the person who starts the relay. */
export function explainOpening(error: unknown, address: string): RelayError {
  if (error instanceof RelayError) return error;
  const text = textOf(error);
  const state = error instanceof SqlError ? error.state : (sqlState(error) ?? '');
  // Of a wrong certificate, of none, or of a file of one that cannot be read.
  const tls = /certificate|SSL|TLS|self.signed|, open '/i.test(text);
  if (tls || REFUSED.test(state)) {
    return new RelayError(
      'config-invalid',
      `PostgreSQL at ${address} refused: ${text}. Check database.url: user, password, database, sslmode; and what that user may do.`,
    );
  }
  return new RelayError(
    'unavailable',
    `The database PostgreSQL at ${address} cannot be used: ${text}. Start it, or correct database.url; then start the relay again.`,
  );
}
