import {
  CompiledQuery,
  PostgresDialect,
  PostgresDriver,
  type DatabaseConnection,
  type Dialect,
  type TransactionSettings,
} from 'kysely';
import type { Connections } from './connections.ts';

/** Any number that nobody else uses in the same database: "burrow" and a 1, in ASCII. */
const TRANSACTION_LOCK = '108281535264049';

/** Kysely over PostgreSQL, with transactions that mean the same as over SQLite. */
export function postgresDialect(connections: Connections): Dialect {
  return new BurrowDialect({ pool: connections }, connections);
}

class BurrowDialect extends PostgresDialect {
  readonly #connections: Connections;

  constructor(config: { pool: Connections }, connections: Connections) {
    super(config);
    this.#connections = connections;
  }

  override createDriver(): PostgresDriver {
    return new Driver({ pool: this.#connections });
  }
}

class Driver extends PostgresDriver {
  /**
   * One transaction at a time, over all relays, as SQLite's `begin immediate`: what one has read
   * stays true until its end, and two cannot wait for each other. They are few and short; single
   * statements do not wait.
   */
  override async beginTransaction(
    connection: DatabaseConnection,
    settings: TransactionSettings,
  ): Promise<void> {
    try {
      await super.beginTransaction(connection, settings);
      await connection.executeQuery(
        CompiledQuery.raw(`select pg_advisory_xact_lock(${TRANSACTION_LOCK})`),
      );
    } catch (error) {
      await this.rollbackTransaction(connection);
      throw error;
    }
  }

  override async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    try {
      await super.rollbackTransaction(connection);
    } catch {
      // The connection is thrown away; what made the transaction fail is the error to tell.
    }
  }
}
