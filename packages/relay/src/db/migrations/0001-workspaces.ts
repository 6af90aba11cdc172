import { sql, type Kysely, type Migration } from 'kysely';

/**
 * Style of migrations: the schema builder only, types `text`, `integer` and
 * `bigint` (ms since the epoch), booleans as 0/1 integers, JSON as text, so that
 * the same file runs on SQLite and on PostgreSQL. A migration that was released
 * never changes.
 */
export const workspaces: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('workspaces')
      .addColumn('id', 'text', (column) => column.primaryKey())
      .addColumn('name', 'text', (column) => column.notNull())
      .addColumn('owner_id', 'text', (column) => column.notNull())
      .addColumn('driver', 'text', (column) => column.notNull())
      .addColumn('state', 'text', (column) => column.notNull())
      .addColumn('state_reason', 'text')
      .addColumn('editor_port', 'integer', (column) => column.notNull())
      .addColumn('created_at', 'bigint', (column) => column.notNull())
      .addColumn('terminated_at', 'bigint')
      .execute();
    // A name is taken only while its workspace lives.
    await db.schema
      .createIndex('workspaces_living_name')
      .unique()
      .on('workspaces')
      .column('name')
      .where(sql.ref('terminated_at'), 'is', null)
      .execute();
    await db.schema.createIndex('workspaces_owner').on('workspaces').column('owner_id').execute();

    await db.schema
      .createTable('workspace_ports')
      .addColumn('workspace_id', 'text', (column) =>
        column.notNull().references('workspaces.id').onDelete('cascade'),
      )
      .addColumn('port', 'integer', (column) => column.notNull())
      .addColumn('protocol', 'text', (column) => column.notNull())
      .addColumn('host', 'text', (column) => column.notNull())
      .addColumn('cors_origins', 'text', (column) => column.notNull())
      .addPrimaryKeyConstraint('workspace_ports_key', ['workspace_id', 'port'])
      .execute();

    await db.schema
      .createTable('tunnel_agents')
      .addColumn('id', 'text', (column) => column.primaryKey())
      .addColumn('workspace_id', 'text', (column) =>
        column.notNull().unique().references('workspaces.id').onDelete('cascade'),
      )
      .addColumn('token_hash', 'text', (column) => column.notNull())
      .addColumn('token_created_at', 'bigint', (column) => column.notNull())
      .addColumn('lease_expires_at', 'bigint', (column) => column.notNull())
      .addColumn('connected_since', 'bigint')
      .addColumn('last_seen_at', 'bigint')
      .addColumn('created_at', 'bigint', (column) => column.notNull())
      .execute();

    // Tokens of yesterday are remembered, so that their holder hears "revoked", not "unknown".
    await db.schema
      .createTable('revoked_agent_tokens')
      .addColumn('token_hash', 'text', (column) => column.primaryKey())
      .addColumn('agent_id', 'text', (column) => column.notNull())
      .addColumn('revoked_at', 'bigint', (column) => column.notNull())
      .addColumn('reason', 'text', (column) => column.notNull())
      .execute();
    await db.schema
      .createIndex('revoked_agent_tokens_at')
      .on('revoked_agent_tokens')
      .column('revoked_at')
      .execute();
    await db.schema
      .createIndex('tunnel_agents_token')
      .unique()
      .on('tunnel_agents')
      .column('token_hash')
      .execute();

    await db.schema
      .createTable('relay_heartbeat')
      .addColumn('id', 'text', (column) => column.primaryKey())
      .addColumn('at', 'bigint', (column) => column.notNull())
      .execute();
  },
};
