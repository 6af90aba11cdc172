/** The SSH gateway's caps. `docs/limits.md` lists them. */
export const SSH_LIMITS = {
  /** From connecting to being signed in; a person may be typing. */
  signInMs: 60_000,
  /** Instead, once a link to approve was shown: the link's own life and a bit. */
  browserMs: 150_000,
  /** Connections that are not signed in yet, in all and by address (IPv6 by /64). */
  unauthenticated: 2_000,
  unauthenticatedPerAddress: 300,
  /** Connections in all. */
  connections: 10_000,
  /** Refused tries on one connection. An agent with many keys offers each. */
  tries: 20,
  /** Reaching the workload and signing in there. */
  reachMs: 20_000,
  /** Bytes that wait for one side before the other is no longer read. */
  highWaterBytes: 1024 * 1024,
  /** Raw channels to other workloads on one `burrow@` connection. */
  jumps: 32,
  /** Live sign-ins are looked at again this often, so that what was taken away ends within 1 s. */
  recheckMs: 400,
  /** A gateway's thread that failed is started again after this long. */
  restartMs: 1_000,
} as const;
