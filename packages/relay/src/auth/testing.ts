import { DatabaseSync, type SQLInputValue } from 'node:sqlite';
import { Kysely, SqliteDialect, type SqliteDatabase } from 'kysely';
import { MIGRATIONS } from '../db/migrations/index.ts';
import type { Tables } from '../db/tables.ts';
import { DATABASE_KIND, openTestDatabase } from '../db/testing.ts';

/**
 * A fresh database with every table, for unit tests, of the kind that the run is about. SQLite: in
 * this thread, so that there is no worker to wait for.
 */
export async function testDatabase(): Promise<Kysely<Tables>> {
  if (DATABASE_KIND === 'postgres') return (await openTestDatabase()).kysely;
  const sqlite = new DatabaseSync(':memory:', { enableForeignKeyConstraints: true });
  const database: SqliteDatabase = {
    close: () => sqlite.close(),
    prepare(sql) {
      const statement = sqlite.prepare(sql);
      return {
        reader: statement.columns().length > 0,
        all: (parameters) => statement.all(...(parameters as SQLInputValue[])),
        run: (parameters) => {
          const result = statement.run(...(parameters as SQLInputValue[]));
          return { changes: result.changes, lastInsertRowid: result.lastInsertRowid };
        },
        iterate: (parameters) =>
          statement.iterate(...(parameters as SQLInputValue[])) as IterableIterator<unknown>,
      };
    },
  };
  const db = new Kysely<Tables>({ dialect: new SqliteDialect({ database }) });
  for (const migration of Object.values(MIGRATIONS)) await migration.up(db);
  return db;
}

/** A clock that moves only when told. */
export function testClock(start = 1_800_000_000_000): { now(): number; advance(ms: number): void } {
  let at = start;
  return {
    now: () => at,
    advance(ms) {
      at += ms;
    },
  };
}
