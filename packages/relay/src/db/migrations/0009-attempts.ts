import type { Kysely, Migration } from 'kysely';

/** Failed sign-ins by address, counted over all relays. */
export const attempts: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('failed_attempts')
      .addColumn('address', 'text', (column) => column.primaryKey())
      // When all of its attempts are allowed again: until then the row counts.
      .addColumn('forgiven_at', 'bigint', (column) => column.notNull())
      .execute();
    await db.schema
      .createIndex('failed_attempts_expiry')
      .on('failed_attempts')
      .column('forgiven_at')
      .execute();
  },

  async down(db: Kysely<unknown>): Promise<void> {
    await db.schema.dropTable('failed_attempts').execute();
  },
};
