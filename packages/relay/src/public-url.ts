import type { Config } from './config/schema.ts';

/** How people reach the relay: as configured, else the domain with the listening port. */
export function publicUrlOf(config: Config, port: number): URL {
  if (config.publicUrl !== undefined) return new URL(config.publicUrl);
  const scheme = config.listen.tls.certFile === undefined ? 'http' : 'https';
  return new URL(`${scheme}://${config.domain}:${port}`);
}
