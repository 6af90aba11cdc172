import { randomBytes } from 'node:crypto';
import { openDatabase, type Database } from './database.ts';

/**
 * Where the databases of tests are: `postgres://…` of a superuser, set by the stage `postgres` of
 * `npm test`. Unset: SQLite in memory.
 */
const SERVER = process.env['BURROW_TEST_POSTGRES'];
const TEMPLATE = 'burrow_template';

/** What the tests of this run are on. */
export const DATABASE_KIND = SERVER === undefined ? 'sqlite' : 'postgres';

/** A fresh, migrated database for one test: of the kind that this run is about. */
export async function openTestDatabase(): Promise<Database> {
  if (SERVER === undefined) return openDatabase({ path: ':memory:' });
  return openDatabase({ url: await newDatabase(SERVER), idleTimeoutMs: 200, maxConnections: 4 });
}

/** As many connections to one fresh database as are wanted, as several relays have them. */
export async function openSharedTestDatabase(path: string): Promise<() => Promise<Database>> {
  if (SERVER === undefined) return () => openDatabase({ path, exclusive: false });
  const url = await newDatabase(SERVER);
  return () => openDatabase({ url, idleTimeoutMs: 200, maxConnections: 4 });
}

/** A copy of a migrated one: that is quicker than to migrate again. Returns its URL. */
async function newDatabase(server: string): Promise<string> {
  const { Client } = (await import('pg')).default;
  const name = `test_${randomBytes(8).toString('hex')}`;
  const admin = new Client({ connectionString: server });
  await admin.connect();
  try {
    // Two at a time cannot copy one template; other files of tests run beside this one.
    await admin.query('select pg_advisory_lock(1)');
    const { rows } = await admin.query('select from pg_database where datname = $1', [TEMPLATE]);
    if (rows.length === 0) {
      await admin.query(`create database ${TEMPLATE}_new`);
      await (await openDatabase({ url: at(server, `${TEMPLATE}_new`) })).close();
      await admin.query(`alter database ${TEMPLATE}_new rename to ${TEMPLATE}`);
    }
    await admin.query(`create database ${name} template ${TEMPLATE}`);
  } finally {
    await admin.end();
  }
  return at(server, name);
}

function at(server: string, database: string): string {
  const url = new URL(server);
  url.pathname = `/${database}`;
  return url.href;
}
