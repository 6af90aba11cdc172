import { Cluster, Redis, type RedisOptions } from 'ioredis';
import { REGISTRY_LIMITS } from '../routing/limits.ts';
import { redisProblem } from './redis-problem.ts';
import type { RedisSettings } from './redis-settings.ts';

/** The commands that relays use: docs/operations.md lists them as access rules. */
export type RedisCommands = Pick<
  Redis,
  | 'del'
  | 'hdel'
  | 'hgetall'
  | 'hset'
  | 'mget'
  | 'pexpire'
  | 'publish'
  | 'sadd'
  | 'set'
  | 'srem'
  | 'sscan'
  | 'time'
>;

export interface RedisClient {
  /**
   * Sends one command and counts it. Rejects at once when Redis is not
   * connected, and within 5 s always: nothing queues up behind a dead server.
   */
  run<T>(command: (redis: RedisCommands) => Promise<T>): Promise<T>;
  /** Messages of one channel, as long as the client lives. Some may be lost. */
  subscribe(channel: string, listener: (message: string) => void): void;
  /** The subscription's connection is asked for a sign of life: a dead one is then made anew. */
  checkSubscription(): void;
  /** Connected, again or for the first time: what was written before may be lost. Returns unsubscribe. */
  onConnected(listener: () => void): () => void;
  /** A sentence while there is no connection. */
  readonly problem: string | undefined;
  /** Commands sent, and those that failed, since the start. */
  readonly commands: number;
  readonly errors: number;
  /** Idempotent. */
  close(): void;
}

/** Between attempts to connect: 50 ms to 2 s, spread so that relays do not come all at once. */
function retryAfter(attempt: number): number {
  return (
    Math.min(REGISTRY_LIMITS.redisRetryMs, 50 * 2 ** Math.min(attempt, 10)) *
    (0.5 + Math.random() / 2)
  );
}

/**
 * Connects in the background and for as long as it takes. Nothing is queued while there is
 * no connection, and nothing is sent twice: callers write what should be so, again and again.
 */
export function connectRedis(settings: RedisSettings): RedisClient {
  let lastError: unknown;
  let commands = 0;
  let errors = 0;
  let closed = false;
  const listeners = new Set<() => void>();
  const client: Redis | Cluster = settings.cluster
    ? clusterClient(settings)
    : new Redis({ ...singleOptions(settings), replyMapping: 'legacy' });
  /** A Redis Cluster's client keeps a connection for subscriptions by itself. */
  const subscriber = client instanceof Cluster ? client : client.duplicate();

  const failed = (error: Error & { code?: string }): void => {
    // The server said why, and then hung up.
    if (error.code === 'ECONNRESET' && (lastError as Error | undefined)?.name === 'ReplyError')
      return;
    lastError = error;
  };
  const connected = (): void => {
    lastError = undefined;
    for (const listener of listeners) listener();
  };
  client.on('error', failed);
  client.on('ready', connected);
  if (client instanceof Cluster) {
    client.on('node error', failed);
    // A node came back: what it was told before it went may be lost.
    client.on('+node', (node: Redis) => {
      node.on('ready', () => {
        if (client.status === 'ready') connected();
      });
    });
  }
  if (subscriber !== client) subscriber.on('error', () => undefined);

  return {
    async run(command) {
      commands += 1;
      try {
        if (client.status !== 'ready') {
          throw lastError ?? new Error('it is not connected');
        }
        return await command(client as RedisCommands);
      } catch (error) {
        errors += 1;
        throw error;
      }
    },
    subscribe(channel, listener) {
      subscriber.on('message', (from: string, message: string) => {
        if (from === channel) listener(message);
      });
      const begin = (): void => {
        // What is lost here a poll finds.
        subscriber.subscribe(channel).catch(() => undefined);
      };
      subscriber.on('ready', begin);
      if (subscriber.status === 'ready') begin();
    },
    checkSubscription() {
      if (subscriber instanceof Redis && subscriber.status === 'ready') {
        subscriber.ping().catch(() => undefined);
      }
    },
    onConnected(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    get problem() {
      if (client.status === 'ready') return undefined;
      return redisProblem(lastError ?? new Error('it is not connected'));
    },
    get commands() {
      return commands;
    },
    get errors() {
      return errors;
    },
    close() {
      if (closed) return;
      closed = true;
      listeners.clear();
      client.disconnect();
      if (subscriber !== client) subscriber.disconnect();
    },
  };
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
function connectionOptions(settings: RedisSettings): CommonOptions {
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

function singleOptions(settings: RedisSettings): RedisOptions {
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

function clusterClient(settings: RedisSettings): Cluster {
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
