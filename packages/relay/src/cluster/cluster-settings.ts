import { hostname } from 'node:os';
import type { Config } from '../config/schema.ts';
import { RelayError } from '../errors.ts';
import { readSettingFile, redisSettings, type RedisSettings } from './redis-settings.ts';

/** What makes this relay a member of a cluster. Holds secrets: never log it. */
export interface ClusterSettings {
  readonly redis: RedisSettings;
  readonly keyPrefix: string;
  readonly relayId: string;
  /** One for each line of the file: the first signs, all are accepted. At least 32 bytes each. */
  readonly secrets: readonly string[];
  readonly leaseMs: number;
}

const MIN_SECRET_BYTES = 32;

/** Undefined: this relay stands alone. Throws RelayError `config-invalid`. `incarnation`: names a relay whose port is not known yet. */
export function clusterSettings(config: Config, incarnation: string): ClusterSettings | undefined {
  const redis = redisSettings(config.cluster);
  if (redis === undefined) return undefined;
  return {
    redis,
    keyPrefix: config.cluster.keyPrefix,
    relayId:
      config.cluster.relayId ?? `${hostname()}:${config.listen.port || incarnation.slice(0, 8)}`,
    secrets: clusterSecrets(config.cluster),
    leaseMs: config.cluster.leaseSeconds * 1000,
  };
}

/** Throws RelayError `config-invalid`. */
export function clusterSecrets({ secret, secretFile }: Config['cluster']): string[] {
  const secrets =
    secretFile === undefined
      ? [secret ?? '']
      : readSettingFile('cluster.secretFile', secretFile)
          .split('\n')
          .map((line) => line.trim())
          .filter((line) => line !== '');
  if (secrets.length === 0 || secrets.some((one) => Buffer.byteLength(one) < MIN_SECRET_BYTES)) {
    throw new RelayError(
      'config-invalid',
      `${secretFile === undefined ? 'cluster.secret' : 'each line of cluster.secretFile'} must have at least ${MIN_SECRET_BYTES} bytes`,
    );
  }
  return secrets;
}
