import { Kysely } from 'kysely';
import { RelayError } from '../errors.ts';
import { workerDialect } from './dialect.ts';
import { migrate } from './migrate.ts';
import { MIGRATIONS } from './migrations/index.ts';
import { prepareFiles } from './prepare-files.ts';
import { explainFailure, SqlError } from './sql-error.ts';
import type { Tables } from './tables.ts';
import { WorkerClient } from './worker-client.ts';

export interface Database {
  readonly kysely: Kysely<Tables>;
  /** False when the thread is gone or stuck, or the last write met a storage failure. */
  healthy(): boolean;
  /** Ends the thread and releases the file, within 5 s. Idempotent. */
  close(): Promise<void>;
}

/** The part of a pino logger that this room uses. */
export interface DatabaseLogger {
  info(fields: object, message: string): void;
}

export interface OpenDatabaseOptions {
  /** A file's path, or `:memory:`. */
  readonly path: string;
  readonly logger?: DatabaseLogger;
  /** Ends waiting for the database to open. */
  readonly signal?: AbortSignal;
  /** Keep every other process out while it is open (default). */
  readonly exclusive?: boolean;
  /** How long to wait for another process's lock, ms; a relay that is just stopping releases it. */
  readonly busyTimeoutMs?: number;
  /** Refuse to grow over this many pages of 4 KiB. */
  readonly maxPages?: number;
}

/** Longest that opening and migrating may take, ms. */
const OPEN_WITHIN_MS = 60_000;

/**
 * Opens the relay's database and brings its schema up to date. Rejects with
 * RelayError whose message says what happened and what to do: locked, damaged,
 * full, unwritable, newer.
 */
export async function openDatabase(options: OpenDatabaseOptions): Promise<Database> {
  const { path } = options;
  const bound = AbortSignal.timeout(OPEN_WITHIN_MS);
  const signal = options.signal ? AbortSignal.any([options.signal, bound]) : bound;
  if (path !== ':memory:') await prepareFiles(path);
  try {
    const client = await WorkerClient.open(
      {
        path,
        busyTimeoutMs: options.busyTimeoutMs ?? 2_000,
        exclusive: options.exclusive ?? true,
        maxPages: options.maxPages,
      },
      signal,
    );
    const kysely = new Kysely<Tables>({ dialect: workerDialect(client) });
    try {
      const applied = await migrate(kysely, MIGRATIONS, path);
      if (applied.length > 0) options.logger?.info({ path, applied }, 'database schema updated');
    } catch (error) {
      await client.close();
      throw error;
    }
    return { kysely, healthy: () => client.healthy, close: () => client.close() };
  } catch (error) {
    if (error instanceof SqlError) throw explainFailure(error, path);
    if (bound.aborted) {
      throw new RelayError('unavailable', `The database ${path} did not open within 60 s.`, {
        cause: error,
      });
    }
    throw error;
  }
}
