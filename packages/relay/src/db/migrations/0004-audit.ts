import type { Kysely, Migration } from 'kysely';

/** Who did what, and from where. */
export const audit: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('audit_events')
      // Begins with the time, so that it orders rows and ages them.
      .addColumn('id', 'text', (column) => column.primaryKey())
      .addColumn('at', 'bigint', (column) => column.notNull())
      .addColumn('action', 'text', (column) => column.notNull())
      .addColumn('outcome', 'text', (column) => column.notNull())
      .addColumn('user_id', 'text')
      .addColumn('username', 'text')
      .addColumn('workspace', 'text')
      .addColumn('address', 'text')
      .addColumn('channel', 'text')
      .addColumn('detail', 'text', (column) => column.notNull())
      .execute();
    for (const column of ['action', 'username', 'workspace']) {
      await db.schema
        .createIndex(`audit_events_${column}`)
        .on('audit_events')
        .columns([column, 'id'])
        .execute();
    }
  },

  async down(db: Kysely<unknown>): Promise<void> {
    await db.schema.dropTable('audit_events').execute();
  },
};
