import { mkdirSync, readFileSync } from 'node:fs';
import type { Config } from './config/schema.ts';
import { RelayError } from './errors.ts';

/** The names under which the control host answers, beside the domain. */
export function hostsOf({ domain, publicHosts, publicUrl, agentUrl }: Config): {
  readonly domain: string;
  readonly publicHosts: readonly string[];
} {
  // Whoever is told a URL of this relay is served under its name.
  const names = [...publicHosts, ...namesIn(publicUrl, agentUrl)];
  return { domain, publicHosts: names.map((host) => host.toLowerCase()) };
}

function namesIn(...urls: readonly (string | undefined)[]): string[] {
  return urls.flatMap((url) => (url === undefined ? [] : [new URL(url).hostname]));
}

/** Plain text also where TLS is configured: it stays on this machine, and the certificate names no address. */
export function localUrlOf({ listen }: Config, port: number): URL {
  const anywhere = ['0.0.0.0', '::', ''].includes(listen.host);
  const host = anywhere ? '127.0.0.1' : listen.host;
  return new URL(`http://${host.includes(':') ? `[${host}]` : host}:${port}`);
}

export function tlsFilesOf({ listen }: Config): { certFile: string; keyFile: string } | undefined {
  const { certFile, keyFile } = listen.tls;
  return certFile === undefined || keyFile === undefined ? undefined : { certFile, keyFile };
}

/** Throws RelayError `config-invalid`. */
export function metricsTokenOf({ metrics }: Config): string | undefined {
  const { token, tokenFile } = metrics;
  if (tokenFile === undefined) return token;
  try {
    return readFileSync(tokenFile, 'utf8').trim();
  } catch (error) {
    throw new RelayError(
      'config-invalid',
      `cannot read metrics.tokenFile: ${(error as Error).message}`,
      { cause: error },
    );
  }
}

/** For the relay's user alone. Throws RelayError `config-invalid`. */
export function makeDataFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new RelayError(
      'config-invalid',
      `cannot make the data folder ${path}: ${(error as Error).message}`,
      { cause: error },
    );
  }
}
