import { z } from 'zod';
import { count, milliseconds } from './numbers.ts';

export const workspaces = z.strictObject({
  maxPerUser: count(1, 1_000_000)
    .default(500)
    .describe('Workspaces that one account may have at once.'),
});

export const gateway = z.strictObject({
  agentWaitMs: milliseconds(0, 120_000)
    .default(10_000)
    .describe('How long a request waits for an agent that is known but not connected.'),
  maxWaiting: count(0, 100_000)
    .default(2_000)
    .describe('Requests that may wait for agents at once, in all.'),
  resumeMs: milliseconds(0, 600_000)
    .default(60_000)
    .describe(
      'How long a connection whose way to the agent broke is kept for another way. Agents keep theirs for 60 s. 0: it ends at once.',
    ),
});

export const drain = z.strictObject({
  graceMs: milliseconds(0, 3_600_000)
    .default(10_000)
    .describe('How long running requests and channels may go on after SIGTERM.'),
});
