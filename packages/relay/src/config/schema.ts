/**
 * The relay's whole configuration, in one schema made of areas: files, environment, flags,
 * `burrow relay config` and docs/configuration.md all come from it.
 */
import { z } from 'zod';
import { agents } from './areas/agents.ts';
import { cluster } from './areas/cluster.ts';
import { database } from './areas/database.ts';
import { listen } from './areas/listen.ts';
import { audit, log, metrics } from './areas/observing.ts';
import { drain, gateway, workspaces } from './areas/serving.ts';
import { ssh } from './areas/ssh.ts';

export { noticedWithinMs } from './areas/agents.ts';

const DNS_NAME =
  /^(?=.{1,190}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/;

const dnsName = z
  .string()
  .regex(DNS_NAME, 'must be a DNS name in lower case, such as burrow.example.com');

export const configSchema = z.strictObject({
  domain: dnsName
    .default('localhost')
    .describe('Apps are served at `<port>-<workspace>.<domain>` and `<workspace>.<domain>`.'),
  publicUrl: z
    .url({ protocol: /^https?$/, error: 'must be an http:// or https:// URL without a path' })
    .refine((value) => !URL.canParse(value) || new URL(value).pathname === '/', {
      message: 'must not have a path',
    })
    .optional()
    .describe(
      'How people reach this relay. Default: the domain and the listening port, https when TLS is configured.',
    ),
  agentUrl: z
    .url({ protocol: /^https?$/, error: 'must be an http:// or https:// URL without a path' })
    .optional()
    .describe('How agents reach this relay (`BURROW_RELAY_URL`). Default: publicUrl.'),
  publicHosts: z
    .array(z.string().min(1))
    .default([])
    .describe('Further host names of the API and dashboard.'),
  dataDir: z
    .string()
    .min(1)
    .default('.burrow')
    .describe('Folder of the database and of local workspaces.'),
  processes: z
    .union([
      z.literal('auto'),
      z.coerce.number({ error: 'must be a number from 1 to 64, or auto' }).int().min(1).max(64),
    ])
    .default(1)
    .describe(
      'Relay processes on the same ports, to use more than one core; `auto`: one for each. More than one needs `cluster.redisUrl` and `database.url`.',
    ),
  database: database.prefault({}),
  listen: listen.prefault({}),
  agents: agents.prefault({}),
  workspaces: workspaces.prefault({}),
  gateway: gateway.prefault({}),
  ssh: ssh.prefault({}),
  log: log.prefault({}),
  metrics: metrics.prefault({}),
  audit: audit.prefault({}),
  drain: drain.prefault({}),
  cluster: cluster.prefault({}),
});

export type Config = z.output<typeof configSchema>;
/** The configuration as written by a person: everything optional. */
export type ConfigInput = z.input<typeof configSchema>;
