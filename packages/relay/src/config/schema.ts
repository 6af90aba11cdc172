/**
 * The relay's whole configuration, in one schema: files, environment, flags,
 * `burrow relay config` and docs/configuration.md all come from it.
 */
import { z } from 'zod';
import { LIVENESS_GRAIN_MS } from '@burrow/tunnel';
import { addressRange } from './address-range.ts';

const milliseconds = (min: number, max: number): z.ZodNumber => z.number().int().min(min).max(max);
const count = (min: number, max: number): z.ZodNumber => z.number().int().min(min).max(max);

const DNS_NAME =
  /^(?=.{1,190}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/;
/** `redis-1.example:26379`, `[::1]:26379` */
const HOST_AND_PORT = /^(\[[0-9a-fA-F:.]+\]|[^\s:[\]]+):[1-9][0-9]{0,4}$/;

const dnsName = z
  .string()
  .regex(DNS_NAME, 'must be a DNS name in lower case, such as burrow.example.com');

const tls = z
  .strictObject({
    certFile: z
      .string()
      .optional()
      .describe(
        'PEM certificate chain, usually a wildcard for the domain. Read again when it changes.',
      ),
    keyFile: z.string().optional().describe('PEM private key of the certificate.'),
  })
  .refine((value) => (value.certFile === undefined) === (value.keyFile === undefined), {
    message: 'certFile and keyFile belong together: set both, or neither for a plain port',
  });

const listen = z.strictObject({
  host: z
    .string()
    .min(1)
    .default('127.0.0.1')
    .describe('Address to listen on; `0.0.0.0` or `::` for all.'),
  port: count(0, 65_535)
    .default(8150)
    .describe('TCP port for everything: gRPC, API and apps. 0 picks a free one.'),
  tls: tls.prefault({}),
  proxyProtocol: z
    .boolean()
    .default(false)
    .describe(
      'Every connection from a trusted proxy begins with a PROXY protocol header (version 1 or 2). The SSH gateway’s too, unless `ssh.proxyProtocol` says otherwise.',
    ),
  trustedProxies: z
    .array(addressRange)
    .default([])
    .describe(
      'Addresses or ranges (CIDR) of load balancers whose PROXY headers and X-Forwarded-* are believed.',
    ),
  sniffTimeoutMs: milliseconds(100, 60_000)
    .default(10_000)
    .describe(
      'How long a new connection may take to say which protocol it speaks, TLS handshake included.',
    ),
  reusePort: z
    .boolean()
    .default(false)
    .describe(
      'Other processes may listen on the same ports (SO_REUSEPORT, Linux); connections are spread over them. `processes` sets it.',
    ),
  maxConnections: count(1, 1_000_000).default(20_000).describe('Open connections in all.'),
  maxConnectionsPerAddress: count(1, 1_000_000)
    .default(2_000)
    .describe('Open connections from one address. Trusted proxies and loopback are exempt.'),
});

const agents = z
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

const ssh = z.strictObject({
  enabled: z
    .boolean()
    .default(true)
    .describe('Serve `ssh <workspace>@relay` on a port of its own.'),
  host: z
    .string()
    .min(1)
    .optional()
    .describe('Address that the SSH gateway listens on. Default: listen.host.'),
  proxyProtocol: z
    .boolean()
    .optional()
    .describe(
      'Every connection from a trusted proxy to this port begins with a PROXY protocol header. Default: listen.proxyProtocol.',
    ),
  port: count(0, 65_535).default(2_222).describe('Port of the SSH gateway; 0 takes any free one.'),
  handshakeTimeoutMs: milliseconds(1_000, 120_000)
    .default(20_000)
    .describe('How long a new connection may take to exchange keys and begin to sign in.'),
  hostKeyFiles: z
    .array(z.string().min(1))
    .default([])
    .describe(
      'Private host keys in OpenSSH’s form. Default: `ssh_host_ed25519_key` in the data folder, made at the first start; with `cluster.secret` one in the database, for all relays.',
    ),
  userCaKeyFile: z
    .string()
    .min(1)
    .optional()
    .describe(
      'Private ed25519 key, in OpenSSH’s form, of the authority that certifies people for a real sshd beside a workload. Default: `ssh_user_ca_ed25519_key` in the data folder, made at the first start; with `cluster.secret` one in the database, for all relays.',
    ),
});

const workspaces = z.strictObject({
  maxPerUser: count(1, 1_000_000)
    .default(500)
    .describe('Workspaces that one account may have at once.'),
});

const gateway = z.strictObject({
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

const log = z.strictObject({
  level: z
    .enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'])
    .default('info')
    .describe('Least severity to log.'),
  pretty: z
    .enum(['auto', 'always', 'never'])
    .default('auto')
    .describe('Lines for people instead of JSON. `auto`: when standard error is a terminal.'),
});

const metrics = z
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

const audit = z.strictObject({
  retentionDays: count(1, 3_650).default(90).describe('How long audit events are kept, in days.'),
});

const drain = z.strictObject({
  graceMs: milliseconds(0, 3_600_000)
    .default(10_000)
    .describe('How long running requests and channels may go on after SIGTERM.'),
});

const cluster = z
  .strictObject({
    redisUrl: z
      .string()
      .refine((text) => URL.canParse(text) && /^rediss?:$/.test(new URL(text).protocol), {
        message: 'must be a redis:// or rediss:// URL',
      })
      .optional()
      .meta({
        secret: true,
        description:
          'Redis that the relays of a cluster share, `redis://user:password@host:6379/0` (`rediss://`: with TLS). Without it a relay stands alone.',
      }),
    redisUrlFile: z
      .string()
      .min(1)
      .optional()
      .describe('File that holds the URL, instead of `redisUrl`.'),
    redisCaFile: z
      .string()
      .min(1)
      .optional()
      .describe('PEM of the authority that signed Redis’ certificate. Default: the system’s.'),
    sentinels: z
      .array(z.string().regex(HOST_AND_PORT, 'must be host:port'))
      .default([])
      .describe(
        'Redis Sentinels (`host:port`) to ask for the primary. User, password, database number and TLS are those of `redisUrl`.',
      ),
    sentinelName: z
      .string()
      .min(1)
      .default('mymaster')
      .describe('Name of the primary at the sentinels.'),
    sentinelPassword: z.string().min(1).optional().meta({
      secret: true,
      description: 'Password of the sentinels, when they ask for one.',
    }),
    redisCluster: z
      .boolean()
      .default(false)
      .describe('`redisUrl` names a node of a Redis Cluster; the others are found through it.'),
    keyPrefix: z
      .string()
      .regex(/^[A-Za-z0-9._:-]{1,64}$/, 'must be 1 to 64 letters, digits, or any of . _ : -')
      .default('burrow')
      .describe('Begins every key and channel in Redis, so that several clusters can share one.'),
    rebalanceMs: milliseconds(0, 86_400_000)
      .default(600_000)
      .describe(
        'After a relay has joined, each agent’s links move once within this time, so that it gets its share. 0: never.',
      ),
    relayId: z
      .string()
      .regex(/^[A-Za-z0-9._:-]{1,128}$/, 'must be 1 to 128 letters, digits, or any of . _ : -')
      .optional()
      .describe(
        'Stable name of this relay; no two of a cluster may share one. Default: host name and port.',
      ),
    secret: z.string().min(32, 'must have at least 32 bytes').optional().meta({
      secret: true,
      description:
        'What relays of one cluster know each other by: 32 bytes at least, the same on all (`openssl rand -base64 48`). Needed with `redisUrl`.',
    }),
    secretFile: z
      .string()
      .min(1)
      .optional()
      .describe('File that holds the secret, instead of `secret`.'),
    peer: z
      .strictObject({
        host: z
          .string()
          .min(1)
          .default('127.0.0.1')
          .describe('Address to listen on for the other relays.'),
        port: count(0, 65_535)
          .default(0)
          .describe('Port to listen on for the other relays; 0 takes any free one.'),
        url: z
          .url({ protocol: /^https?$/, error: 'must be an http:// or https:// URL' })
          .optional()
          .describe(
            'What other relays dial. Default: made of `host` and `port`; needed when `host` stands for all addresses.',
          ),
        tls: z
          .strictObject({
            certFile: z.string().min(1).optional().describe('PEM certificate chain of this relay.'),
            keyFile: z.string().min(1).optional().describe('PEM private key of the certificate.'),
            caFile: z
              .string()
              .min(1)
              .optional()
              .describe('PEM of the authority that signs the certificates of all relays.'),
          })
          .refine(
            ({ certFile, keyFile, caFile }) =>
              [certFile, keyFile, caFile].every(
                (file) => (file === undefined) === (certFile === undefined),
              ),
            {
              message:
                'certFile, keyFile and caFile belong together: set all three, or none for plain text between relays',
            },
          )
          .prefault({}),
      })
      .refine((value) => value.url !== undefined || !['0.0.0.0', '::'].includes(value.host), {
        message: 'url is needed when host stands for all addresses: others cannot dial that',
      })
      .prefault({}),
    leaseSeconds: count(3, 3_600)
      .default(60)
      .describe(
        'How long Redis remembers a relay that no longer answers. It is renewed three times as often.',
      ),
  })
  .refine((value) => value.redisUrl === undefined || value.redisUrlFile === undefined, {
    message: 'set redisUrl or redisUrlFile, not both',
  })
  .refine((value) => value.secret === undefined || value.secretFile === undefined, {
    message: 'set secret or secretFile, not both',
  })
  .refine(
    (value) =>
      (value.redisUrl ?? value.redisUrlFile) === undefined ||
      (value.secret ?? value.secretFile) !== undefined,
    { message: 'with redisUrl, secret or secretFile is needed, the same on every relay' },
  )
  .refine(
    (value) =>
      (value.redisUrl ?? value.redisUrlFile) !== undefined ||
      (value.sentinels.length === 0 && !value.redisCluster),
    { message: 'sentinels and redisCluster mean nothing without redisUrl' },
  )
  .refine((value) => value.sentinels.length === 0 || !value.redisCluster, {
    message: 'set sentinels or redisCluster, not both: a Redis Cluster needs no sentinels',
  });

const database = z
  .strictObject({
    url: z
      .string()
      .refine((text) => URL.canParse(text) && /^postgres(ql)?:$/.test(new URL(text).protocol), {
        message: 'must be of the form postgres://user:password@host:port/database',
      })
      .optional()
      .meta({
        secret: true,
        description:
          'PostgreSQL, `postgres://user:password@host:5432/database`, shared by the relays of a cluster. `?sslmode=verify-full&sslrootcert=FILE`: with TLS. Without it: SQLite in the data folder, for one relay.',
      }),
    urlFile: z.string().min(1).optional().describe('File that holds the URL, instead of `url`.'),
    maxConnections: count(1, 1_000)
      .default(10)
      .describe(
        'Connections to PostgreSQL that this relay may have. All relays together must stay below PostgreSQL’s `max_connections`.',
      ),
  })
  .refine((value) => value.url === undefined || value.urlFile === undefined, {
    message: 'set url or urlFile, not both',
  });

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
