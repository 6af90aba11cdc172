import { z } from 'zod';

const count = z.number().int().nonnegative();

/** What a relay says of itself, to other relays and to administrators. */
export const relayStats = z.object({
  id: z.string().min(1).max(200),
  /** 32 hex digits: one run of the process. */
  incarnation: z.string().min(1).max(64),
  version: z.string().max(100),
  /** How people reach it. */
  url: z.string().max(500),
  uptimeSeconds: count,
  state: z.enum(['starting', 'ready', 'draining']),
  /** Agents with a link that ends here, and their links. */
  agents: count,
  links: count,
  /** Open channels on links of agents. */
  channels: count,
  peerLinks: z.object({ in: count, out: count }),
  /** While it drains: what is still under way, and how long it may take. */
  drain: z.object({ busy: count, secondsLeft: count }).optional(),
});

export type RelayStats = z.output<typeof relayStats>;
