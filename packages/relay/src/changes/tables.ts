/** Rows of migration `0008-changes`. */
export interface ChangesRow {
  readonly id: string;
  /** Grows; rows of relays that write at the same moment may share one. */
  readonly position: number;
  readonly kind:
    | 'agent'
    | 'workspace'
    | 'token'
    | 'ssh-key'
    /** With the sessions that came from it. */
    | 'session'
    | 'sessions-of-user'
    | 'cluster-key';
  /** Id of what changed; a workspace's name; a key's purpose. Never a secret. */
  readonly subject: string;
  readonly reason: string | null;
  /** ms since the epoch, by the clock of the relay that wrote it: only for clearing up. */
  readonly at: number;
}

export interface ChangesTables {
  readonly changes: ChangesRow;
}
