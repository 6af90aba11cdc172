import { Cluster, type RedisOptions } from 'ioredis';
import { REGISTRY_LIMITS } from '../routing/limits.ts';
import type { RedisSettings } from './redis-settings.ts';

/** Between attempts to connect: 50 ms to 2 s, spread so that relays do not come all at once. */
export function retryAfter(attempt: number): number {
  return (
    Math.min(REGISTRY_LIMITS.redisRetryMs, 50 * 2 ** Math.min(attempt, 10)) *
    (0.5 + Math.random() / 2)
  );
}

type CommonOptions = Pick<
  RedisOptions,
  | 'protocol'
  | 'disableClientInfo'
  | 'connectTimeout'
  | 'commandTimeout'
  | 'socketTimeout'
  | 'keepAlive'
  | 'maxRetriesPerRequest'
  | 'autoResendUnfulfilledCommands'
  | 'username'
  | 'password'
  | 'tls'
>;

/** Common to every connection. No `CLIENT`, no `HELLO`: the access rules stay short. */
export function connectionOptions(settings: RedisSettings): CommonOptions {
  return {
    protocol: 2,
    disableClientInfo: true,
    connectTimeout: REGISTRY_LIMITS.redisConnectMs,
    commandTimeout: REGISTRY_LIMITS.answerMs,
    socketTimeout: REGISTRY_LIMITS.redisSilenceMs,
    keepAlive: 10_000,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    ...(settings.username === undefined ? {} : { username: settings.username }),
    ...(settings.password === undefined ? {} : { password: settings.password }),
    ...(settings.tls === undefined ? {} : { tls: settings.tls }),
  };
}

export function singleOptions(settings: RedisSettings): RedisOptions {
  const { server, sentinels } = settings;
  return {
    ...connectionOptions(settings),
    db: settings.database,
    enableOfflineQueue: false,
    retryStrategy: retryAfter,
    // After a failover the old primary refuses writes: look for the new one.
    reconnectOnError: (error) => error.message.startsWith('READONLY'),
    ...(sentinels === undefined
      ? server
      : {
          sentinels: [...sentinels.servers],
          name: sentinels.name,
          sentinelRetryStrategy: retryAfter,
          sentinelCommandTimeout: REGISTRY_LIMITS.answerMs,
          failoverDetector: true,
          ...(sentinels.password === undefined ? {} : { sentinelPassword: sentinels.password }),
          ...(settings.tls === undefined
            ? {}
            : { enableTLSForSentinelMode: true, sentinelTLS: settings.tls }),
        }),
  };
}

export function clusterClient(settings: RedisSettings): Cluster {
  return new Cluster([settings.server], {
    enableOfflineQueue: false,
    clusterRetryStrategy: retryAfter,
    clusterNodeRetryStrategy: retryAfter,
    retryDelayOnFailover: 200,
    retryDelayOnClusterDown: 200,
    slotsRefreshTimeout: REGISTRY_LIMITS.answerMs,
    slotsRefreshInterval: 15_000,
    // Certificates name hosts, so that the client must not look them up by itself.
    ...(settings.tls === undefined
      ? {}
      : { dnsLookup: (address, callback) => callback(null, address) }),
    redisOptions: connectionOptions(settings),
  });
}
