/**
 * Flags of Node for a process that is a relay. A young generation in halves of 2 MiB: buffers of what passes through
 * die at once, and up to 16 MiB of young objects would keep hundreds of MB of them
 * (docs/decisions/2026-11-28-small-young-generation.md). Only the command line can set it.
 */
export const RELAY_NODE_FLAGS = [
  '--disable-warning=ExperimentalWarning',
  '--max-semi-space-size=2',
];
