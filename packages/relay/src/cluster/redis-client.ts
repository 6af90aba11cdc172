import { Cluster, Redis } from 'ioredis';
import { clusterClient, singleOptions } from './redis-options.ts';
import { redisProblem } from './redis-problem.ts';
import type { RedisSettings } from './redis-settings.ts';
import { subscribeRedis, type Subscription } from './redis-subscription.ts';

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
  const subscriptions: Subscription[] = [];

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
      subscriptions.push(subscribeRedis(settings, client, channel, listener));
    },
    checkSubscription() {
      for (const subscription of subscriptions) subscription.check();
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
      for (const subscription of subscriptions) subscription.close();
    },
  };
}
