import type { Kysely, Migration } from 'kysely';

/** Sign-ins by SSH that wait for somebody to approve them in a browser. */
export const approvals: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('ssh_approvals')
      .addColumn('code_hash', 'text', (column) => column.primaryKey())
      .addColumn('user_code', 'text', (column) => column.notNull())
      .addColumn('address', 'text', (column) => column.notNull())
      .addColumn('workspace', 'text')
      .addColumn('created_at', 'bigint', (column) => column.notNull())
      .addColumn('expires_at', 'bigint', (column) => column.notNull())
      // Null until somebody has decided.
      .addColumn('decision', 'text')
      .addColumn('user_id', 'text', (column) => column.references('users.id').onDelete('cascade'))
      .execute();
    await db.schema
      .createIndex('ssh_approvals_expiry')
      .on('ssh_approvals')
      .column('expires_at')
      .execute();
  },

  async down(db: Kysely<unknown>): Promise<void> {
    await db.schema.dropTable('ssh_approvals').execute();
  },
};
