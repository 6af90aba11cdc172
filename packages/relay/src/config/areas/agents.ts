import { LIVENESS_GRAIN_MS } from '@burrow/tunnel';
import { z } from 'zod';
import { count, milliseconds } from './numbers.ts';

export const agents = z
  .strictObject({
    leaseSeconds: count(60, 31_536_000)
      .default(86_400)
      .describe('How long an agent token stays good without a connected link.'),
    pingAfterMs: milliseconds(1_000, 50_000)
      .default(8_000)
      .describe(
        'Silence on a link after which it is pinged. Stay below the idle timeout of load balancers (often 60 s).',
      ),
    pongWithinMs: milliseconds(1_000, 55_000)
      .default(5_000)
      .describe(
        'How long a pinged side has to answer. With `pingAfterMs` at most 59 s, so that a dead side is noticed within a minute; by default within 15 s.',
      ),
    minLinks: count(1, 16).default(2).describe('Links that an idle agent keeps.'),
    maxLinks: count(1, 16).default(6).describe('Links that a busy agent may open.'),
    maxLinksPerAgent: count(1, 64)
      .default(16)
      .describe('Links of one agent that are accepted: room for links that are being replaced.'),
    maxChannelsPerLink: count(1, 65_536)
      .default(1_024)
      .describe('Channels open at once on one link.'),
    maxConnectsPerMinute: count(1, 100_000)
      .default(120)
      .describe('New links of one agent within a minute.'),
    helloTimeoutMs: milliseconds(100, 60_000)
      .default(10_000)
      .describe('How long a new link may take to say Hello.'),
    maxPendingLinks: count(1, 100_000)
      .default(1_000)
      .describe('Links being authenticated at once, in all; more are told to come back.'),
    file: z
      .string()
      .min(1)
      .optional()
      .describe(
        'The agent’s one file, which is served at `/burrow-agent.mjs`. Default: the one that was built with the relay.',
      ),
    allowPlaintext: z
      .boolean()
      .default(false)
      .describe(
        'Take links without TLS under names other than loopback ones: for a network on which nobody else can read the agents’ tokens.',
      ),
  })
  .refine((value) => value.minLinks <= value.maxLinks && value.maxLinks <= value.maxLinksPerAgent, {
    message: 'must satisfy minLinks <= maxLinks <= maxLinksPerAgent',
  })
  .refine((value) => noticedWithinMs(value) <= 60_000, {
    message:
      'pingAfterMs + pongWithinMs must be at most 59000: a dead agent or relay has to be noticed within 60 s',
  });

/** How long a silent peer can go unnoticed: both times are looked at on a timer of the tunnel. ms */
export function noticedWithinMs(times: { pingAfterMs: number; pongWithinMs: number }): number {
  return times.pingAfterMs + times.pongWithinMs + 2 * LIVENESS_GRAIN_MS;
}
