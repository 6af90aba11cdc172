import { Cluster, Redis } from 'ioredis';
import { connectionOptions, retryAfter, singleOptions } from './redis-options.ts';
import type { RedisSettings } from './redis-settings.ts';

export interface Subscription {
  /** Asks its connection for a sign of life: a dead one is then made anew. */
  check(): void;
  /** Idempotent. */
  close(): void;
}

/**
 * One channel over a connection of its own, made again whenever it ends. In a Redis Cluster
 * any node will do, since each passes on what is published; the client's own
 * subscription there tries dead nodes without a pause, a third of a core for nothing.
 */
export function subscribeRedis(
  settings: RedisSettings,
  client: Redis | Cluster,
  channel: string,
  listener: (message: string) => void,
): Subscription {
  let current: Redis | undefined;
  let timer: NodeJS.Timeout | undefined;
  let attempts = 0;
  let closed = false;

  function begin(): void {
    if (closed) return;
    const redis = new Redis({
      ...(client instanceof Cluster
        ? { ...connectionOptions(settings), ...nodeOf(client, settings), enableOfflineQueue: false }
        : singleOptions(settings)),
      replyMapping: 'legacy',
      retryStrategy: null,
    });
    current = redis;
    // The client's own connection says what is wrong.
    redis.on('error', () => {});
    redis.on('ready', () => {
      attempts = 0;
      // What is lost here a poll finds.
      redis.subscribe(channel).catch(() => {});
    });
    redis.on('message', (from: string, message: string) => {
      if (from === channel && !closed) listener(message);
    });
    redis.once('end', () => {
      attempts += 1;
      if (!closed) timer = setTimeout(begin, retryAfter(attempts)).unref();
    });
  }

  begin();
  return {
    check() {
      if (current?.status === 'ready') current.ping().catch(() => {});
    },
    close() {
      closed = true;
      clearTimeout(timer);
      current?.disconnect();
    },
  };
}

function nodeOf(client: Cluster, settings: RedisSettings): { host: string; port: number } {
  const nodes = client.nodes('master');
  const { host, port } = nodes[Math.floor(Math.random() * nodes.length)]?.options ?? {};
  return host === undefined || port === undefined ? settings.server : { host, port };
}
