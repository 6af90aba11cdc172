import { z } from 'zod';
import { count, milliseconds } from './numbers.ts';

/** `redis-1.example:26379`, `[::1]:26379` */
const HOST_AND_PORT = /^(\[[0-9a-fA-F:.]+\]|[^\s:[\]]+):[1-9][0-9]{0,4}$/;

const peer = z
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
  });

export const cluster = z
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
    peer: peer.prefault({}),
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
