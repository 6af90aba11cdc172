import { readFileSync } from 'node:fs';
import type { Config } from '../config/schema.ts';
import { RelayError } from '../errors.ts';

export interface HostAndPort {
  readonly host: string;
  readonly port: number;
}

/** Where Redis is and how to sign in. Holds secrets: never log it. */
export interface RedisSettings {
  readonly server: HostAndPort;
  readonly username?: string;
  readonly password?: string;
  /** Database number; always 0 in a Redis Cluster. */
  readonly database: number;
  /** Undefined: plain text. `ca`: PEM; without it the system's authorities. */
  readonly tls?: { readonly ca?: string };
  /** The primary is asked of these, and `server` is not used. */
  readonly sentinels?: {
    readonly name: string;
    readonly servers: readonly HostAndPort[];
    readonly password?: string;
  };
  readonly cluster: boolean;
}

/** Undefined: no Redis is configured. Throws RelayError `config-invalid`, without the URL in it. */
export function redisSettings(config: Config['cluster']): RedisSettings | undefined {
  const text =
    config.redisUrlFile === undefined
      ? config.redisUrl
      : readSettingFile('cluster.redisUrlFile', config.redisUrlFile).trim();
  if (text === undefined) return undefined;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^rediss?:$/.test(url.protocol) || url.hostname === '') {
    throw new RelayError(
      'config-invalid',
      'cluster.redisUrl must be redis://host:port or rediss://host:port, with user and password if there are any',
    );
  }
  const database = url.pathname.replace(/^\//, '');
  if (!/^\d{0,5}$/.test(database)) {
    throw new RelayError(
      'config-invalid',
      'the path of cluster.redisUrl must be a database number, as in redis://host:port/0',
    );
  }
  if (config.redisCluster && Number(database) !== 0) {
    throw new RelayError('config-invalid', 'a Redis Cluster has no database but number 0');
  }
  return {
    server: { host: bare(url.hostname), port: Number(url.port || '6379') },
    ...(url.username === '' ? {} : { username: decodeURIComponent(url.username) }),
    ...(url.password === '' ? {} : { password: decodeURIComponent(url.password) }),
    database: Number(database),
    ...(url.protocol === 'rediss:' ? { tls: authority(config.redisCaFile) } : {}),
    ...(config.sentinels.length === 0
      ? {}
      : {
          sentinels: {
            name: config.sentinelName,
            servers: config.sentinels.map(hostAndPort),
            ...(config.sentinelPassword === undefined ? {} : { password: config.sentinelPassword }),
          },
        }),
    cluster: config.redisCluster,
  };
}

/** Reads a file that a setting names. Throws RelayError `config-invalid` that names the setting. */
export function readSettingFile(setting: string, path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new RelayError('config-invalid', `cannot read ${setting}: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

function authority(caFile: string | undefined): { ca?: string } {
  return caFile === undefined ? {} : { ca: readSettingFile('cluster.redisCaFile', caFile) };
}

function hostAndPort(text: string): HostAndPort {
  const colon = text.lastIndexOf(':');
  return { host: bare(text.slice(0, colon)), port: Number(text.slice(colon + 1)) };
}

/** Without the brackets of an IPv6 address. */
function bare(host: string): string {
  return host.startsWith('[') ? host.slice(1, -1) : host;
}
