import { Kysely } from 'kysely';
import { RelayError } from '../errors.ts';
import type { Database, SqliteOptions } from './database.ts';
import { workerDialect } from './dialect.ts';
import { migrate } from './migrate.ts';
import { MIGRATIONS } from './migrations/index.ts';
import { prepareFiles } from './prepare-files.ts';
import { explainFailure, SqlError } from './sql-error.ts';
import type { Tables } from './tables.ts';
import { WorkerClient } from './worker-client.ts';

/** Longest that opening and migrating may take, ms. */
const OPEN_WITHIN_MS = 60_000;

/** A database in one file, on a thread of its own. */
export async function openSqlite(options: SqliteOptions): Promise<Database> {
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
