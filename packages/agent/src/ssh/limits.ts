/** The built-in SSH server's caps, for one connection. `docs/limits.md` lists them. */
export const AGENT_SSH_LIMITS = {
  /** Until a key was accepted. */
  signInMs: 30_000,
  /** Keys tried. The relay names what is admitted, so an honest client needs few. */
  tries: 6,
  sessions: 256,
  /** Connections carried by forwarding, both directions. */
  forwards: 512,
  /** Ports and sockets that listen for the client (`-R`, agent). */
  listeners: 32,
  /** Variables that a session may set, and their length. */
  variables: 64,
  variableBytes: 4_096,
  connectMs: 10_000,
  /** How long an app that does not read may hold what a closed channel left for it. */
  lingerMs: 10_000,
} as const;
