/** Bounds of the relay's use of PostgreSQL; docs/limits.md says why each. */
export const POSTGRES_LIMITS = Object.freeze({
  /** Statements that may wait for a connection; more are refused. */
  waiting: 20_000,
  /** For a free connection, and for a new one to be made. */
  connectMs: 5_000,
  /** A statement, and a wait for a lock. */
  statementMs: 10_000,
  /** Longer than the server's own bound: for one that is gone without a word. */
  silenceMs: 5_000,
  /** A running relay tries again while PostgreSQL restarts. */
  restartMs: 3_000,
  /** A starting relay waits for PostgreSQL to start. */
  startingMs: 10_000,
  /** Opening and migrating. */
  openMs: 60_000,
  /** Without an answer for so long it counts as unhealthy. */
  stuckMs: 5_000,
  /** With nothing else to go by, it is asked this often. */
  probeMs: 1_000,
  /** An unused connection is closed. */
  idleMs: 30_000,
  /** A connection is replaced. */
  lifetimeMs: 3_600_000,
  /** Closing waits for statements under way, then cuts them. */
  closeMs: 5_000,
});
