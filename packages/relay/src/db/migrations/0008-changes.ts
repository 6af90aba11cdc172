import type { Kysely, Migration } from 'kysely';

/** What one relay changed and others remember: they read it a few times a second, and forget. */
export const changes: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('changes')
      .addColumn('id', 'text', (column) => column.primaryKey())
      .addColumn('position', 'bigint', (column) => column.notNull())
      .addColumn('kind', 'text', (column) => column.notNull())
      .addColumn('subject', 'text', (column) => column.notNull())
      .addColumn('reason', 'text')
      .addColumn('at', 'bigint', (column) => column.notNull())
      .execute();
    await db.schema.createIndex('changes_position').on('changes').column('position').execute();
  },

  async down(db: Kysely<unknown>): Promise<void> {
    await db.schema.dropTable('changes').execute();
  },
};
