import type { TestContext } from 'node:test';
import {
  connectRedis,
  type RedisClient,
} from '../../../packages/relay/src/cluster/redis-client.ts';
import { redisSettings } from '../../../packages/relay/src/cluster/redis-settings.ts';
import { configSchema, type ConfigInput } from '../../../packages/relay/src/config/schema.ts';
import { redisRegistry } from '../../../packages/relay/src/routing/redis-registry.ts';
import type { Registry } from '../../../packages/relay/src/routing/registry.ts';

export type RedisInput = NonNullable<ConfigInput['cluster']>;

export interface LogLine {
  readonly level: 'info' | 'warn' | 'error';
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

export interface Member {
  readonly registry: Registry;
  readonly client: RedisClient;
  readonly lines: LogLine[];
}

/** A registry over a real Redis, with the relay's own client. Stopped with the test. */
export function member(t: TestContext, cluster: RedisInput, leaseMs = 1_000): Member {
  const config = configSchema.parse({ cluster: { secret: 'x'.repeat(32), ...cluster } });
  const settings = redisSettings(config.cluster);
  if (settings === undefined) throw new Error('no redisUrl');
  const client = connectRedis(settings);
  const lines: LogLine[] = [];
  const say =
    (level: LogLine['level']) =>
    (fields: object, message: string): void => {
      lines.push({ level, message, fields: { ...fields } });
    };
  const registry = redisRegistry({
    client,
    keyPrefix: config.cluster.keyPrefix,
    leaseMs,
    log: { info: say('info'), warn: say('warn'), error: say('error') },
  });
  t.after(() => registry.stop());
  return { registry, client, lines };
}
