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
  /** Nothing was begun yet: a first statement that changes nothing may be said again on another connection. */
  #fresh = true;

  constructor(owner: Connections, client: PoolClient) {
    this.#owner = owner;
    this.#client = client;
  }

  query<R>(sql: string, parameters: readonly unknown[]): Promise<PostgresQueryResult<R>>;
  query<R>(cursor: never): R;
  async query<R>(sql: string, parameters: readonly unknown[] = []): Promise<unknown> {
    const repeatable = this.#fresh && /^\s*(select|begin)\b/i.test(sql);
    this.#fresh = false;
    const began = performance.now();
    for (;;) {
      try {
        return await this.#say<R>(sql, parameters);
      } catch (error) {
        // A connection that broke while nobody used it is noticed by the next statement; of a
        // restarted PostgreSQL's, that may be true of each one in the pool.
        const timedOut = error instanceof Error && error.message === 'Query read timeout';
        const late = performance.now() - began >= this.#owner.retryForMs;
        if (!repeatable || !this.#broken || timedOut || late) throw told(error);
        await this.#replace();
      }
    }
  }

  async #replace(): Promise<void> {
    this.#client.release(true);
    this.#released = true;
    this.#client = await this.#owner.acquire();
    this.#released = false;
    this.#broken = false;
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
