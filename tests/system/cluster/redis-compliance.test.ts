import { randomBytes } from 'node:crypto';
import { after, before } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { registryCompliance } from '../../../packages/relay/src/routing/registry-compliance.ts';
import { startRedis, startRedisCluster, startRedisSentinel } from '../../harness/redis.ts';
import { member, type Member, type RedisInput } from './support.ts';

const LEASE_MS = 900;

function over(kind: string, start: () => Promise<AsyncDisposable & { input: RedisInput }>): void {
  let store: Awaited<ReturnType<typeof start>>;
  before(async () => {
    store = await start();
  });
  after(() => store[Symbol.asyncDispose]());
  registryCompliance(kind, async (t) => {
    // Each test is a cluster of its own.
    const keyPrefix = randomBytes(6).toString('hex');
    const made = new Map<unknown, Member>();
    return {
      create() {
        const one = member(t, { ...store.input, keyPrefix }, LEASE_MS);
        made.set(one.registry, one);
        return one.registry;
      },
      async kill(registry) {
        made.get(registry)?.client.close();
        await sleep(LEASE_MS + 100);
      },
    };
  });
}

over('a single Redis', async () => {
  const redis = await startRedis();
  return {
    input: { redisUrl: redis.url },
    [Symbol.asyncDispose]: () => redis[Symbol.asyncDispose](),
  };
});

over('a Redis Cluster of three', async () => {
  const cluster = await startRedisCluster();
  return {
    input: { redisUrl: cluster.url, redisCluster: true },
    [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose](),
  };
});

over('Redis behind three Sentinels', async () => {
  const stand = await startRedisSentinel();
  return {
    input: { redisUrl: 'redis://nobody.invalid:1', sentinels: [...stand.sentinels] },
    [Symbol.asyncDispose]: () => stand[Symbol.asyncDispose](),
  };
});
