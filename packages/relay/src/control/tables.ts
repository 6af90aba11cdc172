import type { ColumnType } from 'kysely';

/** A column set once, when the row is made. */
type Fixed<T> = ColumnType<T, T, never>;

/** Rows of migration `0001-workspaces`. Times are ms since the epoch. */
export interface WorkspacesTable {
  readonly id: Fixed<string>;
  readonly name: Fixed<string>;
  readonly owner_id: Fixed<string>;
  readonly driver: Fixed<'external' | 'local'>;
  /** Desired by the control plane: `failed` when its driver could not start it. */
  readonly state: 'starting' | 'running' | 'stopped' | 'failed';
  readonly state_reason: string | null;
  readonly editor_port: number;
  readonly created_at: Fixed<number>;
  readonly terminated_at: number | null;
  /** What its agent reported last; null: nothing yet. Migration `0006-workspace-ssh`. */
  readonly ssh_server: 'none' | 'built-in' | 'sshd' | null;
  readonly ssh_host_key: string | null;
  readonly ssh_user: string | null;
}

export interface WorkspacePortsTable {
  readonly workspace_id: Fixed<string>;
  readonly port: Fixed<number>;
  readonly protocol: 'http' | 'https' | 'h2c';
  readonly host: 'preserve' | 'localhost';
  /** A JSON array of origins. */
  readonly cors_origins: string;
}

export interface TunnelAgentsTable {
  readonly id: Fixed<string>;
  readonly workspace_id: Fixed<string>;
  /** SHA-256 of the token, hex. */
  readonly token_hash: string;
  readonly token_created_at: number;
  readonly lease_expires_at: number;
  readonly connected_since: number | null;
  readonly last_seen_at: number | null;
  readonly created_at: Fixed<number>;
}

/** Tokens that were good once; also how one relay learns what another has revoked. */
export interface RevokedAgentTokensTable {
  readonly token_hash: Fixed<string>;
  readonly agent_id: Fixed<string>;
  readonly revoked_at: Fixed<number>;
  readonly reason: Fixed<'workspace-terminated' | 'token-replaced'>;
}

export interface RelayHeartbeatTable {
  readonly id: Fixed<string>;
  readonly at: number;
}

export interface ControlTables {
  readonly workspaces: WorkspacesTable;
  readonly workspace_ports: WorkspacePortsTable;
  readonly tunnel_agents: TunnelAgentsTable;
  readonly revoked_agent_tokens: RevokedAgentTokensTable;
  readonly relay_heartbeat: RelayHeartbeatTable;
}
