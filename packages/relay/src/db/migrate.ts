import { Migrator, type Kysely, type Migration } from 'kysely';
import { RelayError } from '../errors.ts';
import type { Tables } from './tables.ts';

/**
 * Brings the schema up to date, in one transaction. Rejects with RelayError
 * `config-invalid` when the database was written by a newer relay.
 */
export async function migrate(
  db: Kysely<Tables>,
  migrations: Readonly<Record<string, Migration>>,
  path: string,
  /** PostgreSQL's schema that holds the tables: others may hold some of the same names. */
  schema?: string,
): Promise<readonly string[]> {
  const migrator = new Migrator({
    db,
    provider: { getMigrations: async () => ({ ...migrations }) },
    ...(schema === undefined ? {} : { migrationTableSchema: schema }),
  });
  const newer = await unknownMigration(db, migrations, schema);
  if (newer !== undefined) {
    throw new RelayError(
      'config-invalid',
      `The database ${path} was written by a newer relay (it has "${newer}"). ` +
        'Start that version or a later one, or put a backup from before the upgrade in its place.',
    );
  }
  const { error, results } = await migrator.migrateToLatest();
  if (error !== undefined) throw error;
  return (results ?? []).map((result) => result.migrationName);
}

async function unknownMigration(
  db: Kysely<Tables>,
  migrations: Readonly<Record<string, Migration>>,
  schema: string | undefined,
): Promise<string | undefined> {
  const tables = await db.introspection.getTables({ withInternalKyselyTables: true });
  const ours = (table: { name: string; schema?: string }): boolean =>
    table.name === 'kysely_migration' && (schema === undefined || table.schema === schema);
  if (!tables.some(ours)) return undefined;
  const applied = await db
    .withTables<{ kysely_migration: { name: string } }>()
    .selectFrom('kysely_migration')
    .select('name')
    .execute();
  return applied.map((row) => row.name).find((name) => !(name in migrations));
}
