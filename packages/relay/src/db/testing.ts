import { randomBytes } from 'node:crypto';
import {
  DummyDriver,
  Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
} from 'kysely';
import { openDatabase, type Database } from './database.ts';
import { MIGRATIONS } from './migrations/index.ts';

/**
 * Where the databases of tests are: `postgres://…` of a superuser, set by the stage `postgres` of
 * `npm test`. Unset: SQLite in memory.
 */
const SERVER = process.env['BURROW_TEST_POSTGRES'];

/** What the tests of this run are on. */
export const DATABASE_KIND = SERVER === undefined ? 'sqlite' : 'postgres';

/** A fresh, migrated database for one test: of the kind that this run is about. */
export async function openTestDatabase(): Promise<Database> {
  if (SERVER === undefined) return openDatabase({ path: ':memory:' });
  return (await newSchema(SERVER))();
}

/** One fresh database that may be opened several times, as several relays do; `path`: SQLite's file. */
export async function openSharedTestDatabase(path: string): Promise<() => Promise<Database>> {
  if (SERVER === undefined) return () => openDatabase({ path, exclusive: false });
  return newSchema(SERVER);
}

/** All tables in a schema of their own, made at one stroke: the tests of a file need hundreds. */
async function newSchema(server: string): Promise<() => Promise<Database>> {
  const { Client } = (await import('pg')).default;
  const { servePostgres } = await import('./postgres/open.ts');
  const name = `test_${randomBytes(8).toString('hex')}`;
  const admin = new Client({ connectionString: server });
  await admin.connect();
  try {
    const tables = await migrationsAsSql();
    await admin.query(`create schema ${name}; set search_path to ${name}; ${tables}`);
  } finally {
    await admin.end();
  }
  const url = new URL(server);
  url.searchParams.set('options', `-c search_path=${name}`);
  return async () => servePostgres({ url: url.href, idleTimeoutMs: 200, maxConnections: 4 });
}

/** What the migrations say to PostgreSQL. */
export async function migrationStatements(): Promise<readonly string[]> {
  const statements: string[] = [];
  const db = new Kysely<unknown>({
    dialect: {
      createAdapter: () => new PostgresAdapter(),
      createDriver: () => new DummyDriver(),
      createIntrospector: (each) => new PostgresIntrospector(each),
      createQueryCompiler: () => new PostgresQueryCompiler(),
    },
    log: (event) => {
      statements.push(event.query.sql);
    },
  });
  for (const migration of Object.values(MIGRATIONS)) await migration.up(db);
  return statements;
}

let script: Promise<string> | undefined;
function migrationsAsSql(): Promise<string> {
  return (script ??= migrationStatements().then((statements) => statements.join('; ')));
}
