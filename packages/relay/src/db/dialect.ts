import {
  CompiledQuery,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type Kysely,
  type QueryResult,
} from 'kysely';
import { TransactionGate } from './transaction-gate.ts';
import type { WorkerClient } from './worker-client.ts';
import type { SqlValue } from './worker-messages.ts';

/** Kysely over the database's thread. */
export function workerDialect(client: WorkerClient): Dialect {
  return {
    createAdapter: () => new Adapter(),
    createDriver: () => new WorkerDriver(client),
    createIntrospector: (db: Kysely<unknown>) => new SqliteIntrospector(db),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  };
}

/** SQLite can undo DDL: a migration that fails leaves nothing half made. */
class Adapter extends SqliteAdapter {
  override get supportsTransactionalDdl(): boolean {
    return true;
  }
}

class WorkerDriver implements Driver {
  readonly #client: WorkerClient;
  readonly #gate = new TransactionGate();

  constructor(client: WorkerClient) {
    this.#client = client;
  }

  async init(): Promise<void> {}

  async acquireConnection(): Promise<DatabaseConnection> {
    return new WorkerConnection(this.#client, this.#gate);
  }

  async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await this.#gate.enter(connection);
    try {
      // Immediate: takes the write lock now, where busy_timeout applies, not in the middle.
      await connection.executeQuery(CompiledQuery.raw('begin immediate'));
    } catch (error) {
      this.#gate.leave(connection);
      throw error;
    }
  }

  async commitTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('commit'));
    this.#gate.leave(connection);
  }

  async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    try {
      await connection.executeQuery(CompiledQuery.raw('rollback'));
    } catch (error) {
      // A full disk makes SQLite roll back by itself; the first error is the one to tell.
      if (!/no transaction is active/.test(String(error))) throw error;
    } finally {
      this.#gate.leave(connection);
    }
  }

  async releaseConnection(connection: DatabaseConnection): Promise<void> {
    this.#gate.leave(connection);
  }

  destroy(): Promise<void> {
    return this.#client.close();
  }
}

class WorkerConnection implements DatabaseConnection {
  readonly #client: WorkerClient;
  readonly #gate: TransactionGate;

  constructor(client: WorkerClient, gate: TransactionGate) {
    this.#client = client;
    this.#gate = gate;
  }

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    for (;;) {
      const turn = this.#gate.pass(this);
      if (turn === undefined) break;
      await turn;
    }
    const { rows, changes } = await this.#client.run(query.sql, query.parameters.map(toSql));
    return { rows: rows as unknown as R[], numAffectedRows: BigInt(changes) };
  }

  // oxlint-disable-next-line require-yield
  async *streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new Error('the relay reads its database in pages, it does not stream');
  }
}

function toSql(value: unknown): SqlValue {
  if (value === undefined || value === null) return null;
  if (typeof value === 'boolean') return value ? 1 : 0;
  return value as SqlValue;
}
