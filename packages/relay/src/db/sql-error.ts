import { RelayError } from '../errors.ts';
import type { SqlFailure } from './worker-messages.ts';

/** A statement that the database refused. Internal: rooms turn it into a RelayError. */
export class SqlError extends Error {
  override readonly name = 'SqlError';
  /** SQLite's extended result code; 0: not SQLite's. */
  readonly sqlite: number;
  /** PostgreSQL's SQLSTATE; empty: not PostgreSQL's. */
  readonly state: string;

  constructor(failure: SqlFailure) {
    super(failure.message);
    this.sqlite = failure.sqlite;
    this.state = failure.state ?? '';
  }
}

// Result codes of sqlite.org/rescode.html; the low byte is the primary code.
const BUSY = 5;
const LOCKED = 6;
const READONLY = 8;
const IOERR = 10;
const CORRUPT = 11;
const FULL = 13;
const CANTOPEN = 14;
const NOTADB = 26;
const CONSTRAINT_PRIMARYKEY = 1555;
const CONSTRAINT_UNIQUE = 2067;
/** SQLSTATE unique_violation. */
const UNIQUE_VIOLATION = '23505';

/** Somebody else took that name or id first. */
export function isUniqueViolation(error: unknown): boolean {
  return (
    error instanceof SqlError &&
    (error.sqlite === CONSTRAINT_UNIQUE ||
      error.sqlite === CONSTRAINT_PRIMARYKEY ||
      error.state === UNIQUE_VIOLATION)
  );
}

/** True when the database itself is in trouble, rather than one statement. */
export function isStorageFailure(failure: SqlFailure): boolean {
  return [BUSY, LOCKED, READONLY, IOERR, CORRUPT, FULL, CANTOPEN, NOTADB].includes(
    failure.sqlite & 0xff,
  );
}

/** What happened and what to do, for the person who starts the relay. */
export function explainFailure(failure: SqlFailure, path: string): RelayError {
  const say = (code: 'unavailable' | 'config-invalid', message: string): RelayError =>
    new RelayError(code, message, { cause: new SqlError(failure) });
  switch (failure.sqlite & 0xff) {
    case BUSY:
    case LOCKED:
      return say(
        'unavailable',
        `The database ${path} is locked: another relay (or another program) has it open. ` +
          'Stop that one first, or give this relay another data directory.',
      );
    case NOTADB:
    case CORRUPT:
      return say(
        'config-invalid',
        `The database ${path} is damaged or is not a Burrow database (${failure.message}). ` +
          'Put a backup in its place, or move it away to start with an empty one.',
      );
    case FULL:
      return say(
        'unavailable',
        `There is no room left to write the database ${path}: its disk is full. ` +
          'Free some space, then start the relay again. Nothing was lost.',
      );
    case IOERR:
      return say(
        'unavailable',
        `The database ${path} could not be read or written (${failure.message}). ` +
          'Its disk may be full or failing: check it, then start the relay again.',
      );
    case READONLY:
    case CANTOPEN:
      return say('config-invalid', unwritable(path));
    default:
      return say('unavailable', `The database ${path} failed: ${failure.message}.`);
  }
}

export function unwritable(path: string): string {
  return (
    `The database ${path} cannot be opened for writing. ` +
    'Let the user that runs the relay write to this file and its directory, or name another data directory.'
  );
}
