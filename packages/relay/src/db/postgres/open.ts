import { Kysely, sql } from 'kysely';
import { RelayError } from '../../errors.ts';
import type { Database, PostgresOptions } from '../database.ts';
import { migrate } from '../migrate.ts';
import { MIGRATIONS } from '../migrations/index.ts';
import type { Tables } from '../tables.ts';
import { addressOf } from './address.ts';
import { Connections } from './connections.ts';
import { postgresDialect } from './dialect.ts';
import { explainOpening } from './failure.ts';
import { POSTGRES_LIMITS } from './limits.ts';

/** As for the transactions of dialect.ts, one up. */
const MIGRATION_LOCK = '108281535264050';

export async function openPostgres(options: PostgresOptions): Promise<Database> {
  await prepare(options);
  return servePostgres(options);
}

/** Without a look at the schema: it is as this relay needs it. Connects when it is first used. */
export function servePostgres(options: PostgresOptions): Database {
  const connections = new Connections({
    ...settingsOf(options),
    max: options.maxConnections ?? 10,
    statementTimeoutMs: options.statementTimeoutMs ?? POSTGRES_LIMITS.statementMs,
    retryForMs: POSTGRES_LIMITS.restartMs,
  });
  return {
    kysely: new Kysely<Tables>({ dialect: postgresDialect(connections) }),
    healthy: () => connections.healthy,
    close: () => connections.end(),
  };
}

function settingsOf(options: PostgresOptions) {
  return {
    url: options.url,
    address: addressOf(options.url),
    idleTimeoutMs: options.idleTimeoutMs ?? POSTGRES_LIMITS.idleMs,
    logger: options.logger,
  };
}

/** Brings the schema up to date, one relay at a time, on a connection of its own. */
async function prepare(options: PostgresOptions): Promise<void> {
  const connections = new Connections({
    ...settingsOf(options),
    max: 1,
    statementTimeoutMs: POSTGRES_LIMITS.openMs,
    retryForMs: POSTGRES_LIMITS.startingMs,
  });
  const { address } = connections;
  const bound = AbortSignal.timeout(POSTGRES_LIMITS.openMs);
  const signal = options.signal ? AbortSignal.any([options.signal, bound]) : bound;
  const aborted = new Promise<never>((_, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    const applied = await Promise.race([migrateAlone(connections), aborted]);
    if (applied.length > 0) {
      options.logger?.info({ database: address, applied }, 'database schema updated');
    }
  } catch (error) {
    if (options.signal?.aborted === true) throw options.signal.reason;
    if (bound.aborted) {
      throw new RelayError(
        'unavailable',
        `The database PostgreSQL at ${address} did not open within 60 s.`,
      );
    }
    const cause = error instanceof RelayError ? error.cause : undefined;
    throw cause instanceof Error ? explainOpening(cause, address) : explainOpening(error, address);
  } finally {
    aborted.catch(() => {});
    await connections.end(signal.aborted ? 0 : undefined);
  }
}

async function migrateAlone(connections: Connections): Promise<readonly string[]> {
  const kysely = new Kysely<Tables>({ dialect: postgresDialect(connections) });
  return kysely.connection().execute(async (db) => {
    const { rows } = await sql<{ encoding: string; schema: string | null }>`
      select current_setting('server_encoding') as encoding, current_schema() as schema`.execute(
      db,
    );
    const { encoding, schema } = rows[0]!;
    if (encoding !== 'UTF8') {
      throw new RelayError(
        'config-invalid',
        `The database PostgreSQL at ${connections.address} is encoded in ${encoding}. ` +
          'Make one with: create database … encoding UTF8 template template0.',
      );
    }
    if (schema === null) {
      throw new RelayError(
        'config-invalid',
        `The database PostgreSQL at ${connections.address} has no schema that its user may use: look at search_path.`,
      );
    }
    // Of several relays that start at once, one migrates and the others find it done. The lock
    // ends with the connection at the latest.
    await sql`select pg_advisory_lock(${sql.raw(MIGRATION_LOCK)})`.execute(db);
    return migrate(db, MIGRATIONS, `PostgreSQL at ${connections.address}`, schema);
  });
}
