import type { PostgresPoolClient, PostgresQueryResult } from 'kysely';
import type { PoolClient, QueryResult } from 'pg';
import type { Connections } from './connections.ts';
import { kindOf, told } from './failure.ts';
import { toPostgres } from './values.ts';

/** A connection for as long as one statement or transaction uses it. */
export class Lease implements PostgresPoolClient {
  readonly #owner: Connections;
  #client: PoolClient;
  #broken = false;
  #released = false;
  /** Nothing but one reading statement was begun: it may be said again on another connection. */
  #fresh = true;

  constructor(owner: Connections, client: PoolClient) {
    this.#owner = owner;
    this.#client = client;
  }

  query<R>(sql: string, parameters: readonly unknown[]): Promise<PostgresQueryResult<R>>;
  query<R>(cursor: never): R;
  async query<R>(sql: string, parameters: readonly unknown[] = []): Promise<unknown> {
    const again = this.#fresh && /^\s*select\b/i.test(sql);
    this.#fresh = false;
    try {
      return await this.#say<R>(sql, parameters);
    } catch (error) {
      // A connection that broke while nobody used it is noticed by the next statement.
      const timedOut = error instanceof Error && error.message === 'Query read timeout';
      if (!again || !this.#broken || timedOut) throw told(error);
      this.#client.release(true);
      this.#released = true;
      this.#client = await this.#owner.acquire();
      this.#released = false;
      this.#broken = false;
      return await this.#say<R>(sql, parameters).catch((error: unknown) => {
        throw told(error);
      });
    }
  }

  release(): void {
    if (this.#released) return;
    this.#released = true;
    this.#client.release(this.#broken);
  }

  async #say<R>(sql: string, parameters: readonly unknown[]): Promise<PostgresQueryResult<R>> {
    try {
      const values = parameters.map(toPostgres);
      const all = (await this.#owner.watch(() =>
        values.length === 0 ? this.#client.query(sql) : this.#client.query(sql, values),
      )) as QueryResult | QueryResult[];
      // Several statements in one text: the last one counts.
      const result = (Array.isArray(all) ? all.at(-1)! : all) as unknown as PostgresQueryResult<R>;
      this.#owner.answered(result);
      return result;
    } catch (error) {
      // In what state a transaction is that could not be undone, nobody knows.
      if (kindOf(error) === 'lost' || sql === 'rollback') this.#broken = true;
      this.#owner.failed(error);
      throw error;
    }
  }
}
