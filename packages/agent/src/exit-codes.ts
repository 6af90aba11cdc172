/** How the process ends; scripts and supervisors tell the cases apart. docs/agent.md lists them. */
export const EXIT = {
  /** Asked to stop, and did. */
  ok: 0,
  /** A fault of the agent's own. Start it again. */
  internal: 1,
  /** Flags, environment or a file they name are wrong; or the token has no valid form. */
  badConfig: 2,
  /** The relay does not know the token. */
  tokenUnknown: 3,
  /** The token was revoked, or its workload is gone. */
  tokenRevoked: 4,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];
