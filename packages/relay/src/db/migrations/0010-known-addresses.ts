import type { Kysely, Migration } from 'kysely';

/** Addresses from which people signed in: they do not wait for what strangers did elsewhere. */
export const knownAddresses: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('known_addresses')
      .addColumn('address', 'text', (column) => column.primaryKey())
      .addColumn('until', 'bigint', (column) => column.notNull())
      .execute();
    await db.schema
      .createIndex('known_addresses_expiry')
      .on('known_addresses')
      .column('until')
      .execute();
  },

  async down(db: Kysely<unknown>): Promise<void> {
    await db.schema.dropTable('known_addresses').execute();
  },
};
