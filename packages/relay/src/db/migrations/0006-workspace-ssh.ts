import type { Kysely, Migration } from 'kysely';

/** What a workspace's agent last reported of the SSH server beside it. */
export const workspaceSsh: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    for (const column of ['ssh_server', 'ssh_host_key', 'ssh_user']) {
      await db.schema.alterTable('workspaces').addColumn(column, 'text').execute();
    }
  },

  async down(db: Kysely<unknown>): Promise<void> {
    for (const column of ['ssh_server', 'ssh_host_key', 'ssh_user']) {
      await db.schema.alterTable('workspaces').dropColumn(column).execute();
    }
  },
};
