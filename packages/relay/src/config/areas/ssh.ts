import { z } from 'zod';
import { count, milliseconds } from './numbers.ts';

export const ssh = z.strictObject({
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
