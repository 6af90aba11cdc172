import { z } from 'zod';
import { addressRange } from '../address-range.ts';
import { count, milliseconds } from './numbers.ts';

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

export const listen = z.strictObject({
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
