import type { Kysely } from 'kysely';
import { openSqlite } from './open-sqlite.ts';
import type { Tables } from './tables.ts';

export interface Database {
  readonly kysely: Kysely<Tables>;
  /**
   * False while it does not answer (SQLite: its thread is gone or stuck; PostgreSQL: no connection),
   * or when the last write met a storage failure.
   */
  healthy(): boolean;
  /** Lets what was sent end, then releases file or connections, within 5 s. Idempotent. */
  close(): Promise<void>;
}

/** The part of a pino logger that this room uses. */
export interface DatabaseLogger {
  info(fields: object, message: string): void;
  warn?(fields: object, message: string): void;
}

interface CommonOptions {
  readonly logger?: DatabaseLogger;
  /** Ends waiting for the database to open. */
  readonly signal?: AbortSignal;
}

export interface SqliteOptions extends CommonOptions {
  /** A file's path, or `:memory:`. */
  readonly path: string;
  /** Keep every other process out while it is open (default). */
  readonly exclusive?: boolean;
  /** How long to wait for another process's lock, ms; a relay that is just stopping releases it. */
  readonly busyTimeoutMs?: number;
  /** Refuse to grow over this many pages of 4 KiB. */
  readonly maxPages?: number;
}

export interface PostgresOptions extends CommonOptions {
  /** `postgres://user:password@host:port/database`. Its password reaches no message. */
  readonly url: string;
  /** Connections at most, of this relay. Default 10. */
  readonly maxConnections?: number;
  /** Connections that are not used are closed after so long, ms. Default 30 s. */
  readonly idleTimeoutMs?: number;
  /** A statement may run for so long, ms. Default 10 s. */
  readonly statementTimeoutMs?: number;
}

export type OpenDatabaseOptions = SqliteOptions | PostgresOptions;

/**
 * Opens the relay's database and brings its schema up to date. Rejects with
 * RelayError whose message says what happened and what to do: locked, damaged,
 * full, unwritable, newer, unreachable.
 */
export async function openDatabase(options: OpenDatabaseOptions): Promise<Database> {
  if (!('url' in options)) return openSqlite(options);
  // Loaded only where it is used.
  const { openPostgres } = await import('./postgres/open.ts');
  return openPostgres(options);
}
