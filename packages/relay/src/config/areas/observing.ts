import { z } from 'zod';
import { count } from './numbers.ts';

export const log = z.strictObject({
  level: z
    .enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'])
    .default('info')
    .describe('Least severity to log.'),
  pretty: z
    .enum(['auto', 'always', 'never'])
    .default('auto')
    .describe('Lines for people instead of JSON. `auto`: when standard error is a terminal.'),
});

export const metrics = z
  .strictObject({
    enabled: z.boolean().default(true).describe('Serve Prometheus metrics at /metrics.'),
    token: z.string().min(16).optional().meta({
      secret: true,
      description: 'Bearer token for /metrics. Without one only loopback peers may read them.',
    }),
    tokenFile: z
      .string()
      .optional()
      .describe('File that holds the bearer token, instead of `token`.'),
  })
  .refine((value) => value.token === undefined || value.tokenFile === undefined, {
    message: 'set token or tokenFile, not both',
  });

export const audit = z.strictObject({
  retentionDays: count(1, 3_650).default(90).describe('How long audit events are kept, in days.'),
});
