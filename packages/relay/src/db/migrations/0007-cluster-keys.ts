import type { Kysely, Migration } from 'kysely';

/** Keys that every relay of a cluster must have the same of. */
export const clusterKeys: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('cluster_keys')
      .addColumn('purpose', 'text', (column) => column.notNull())
      .addColumn('slot', 'text', (column) => column.notNull())
      .addColumn('public_line', 'text', (column) => column.notNull())
      .addColumn('sealed', 'text', (column) => column.notNull())
      .addColumn('created_at', 'bigint', (column) => column.notNull())
      // Of several relays that start at once, one makes the key.
      .addPrimaryKeyConstraint('cluster_keys_slot', ['purpose', 'slot'])
      .execute();
  },

  async down(db: Kysely<unknown>): Promise<void> {
    await db.schema.dropTable('cluster_keys').execute();
  },
};
