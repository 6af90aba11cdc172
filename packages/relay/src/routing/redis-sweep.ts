import { setTimeout as delay } from 'node:timers/promises';
import type { RedisClient } from '../cluster/redis-client.ts';
import type { RedisKeys } from './redis-keys.ts';

/** Agents looked at in one step. */
const STEP = 200;
const PACE_MS = 50;
/** How long one relay may take before another takes over, ms. */
const SWEEP_MS = 600_000;

/**
 * Cleans up after a relay that died: its entries are ignored anyway, but nobody
 * else would ever delete those of agents that did not come back. One relay does
 * it, and stops as soon as the dead one turns out to have been asleep.
 */
export async function sweepDead(
  client: RedisClient,
  keys: RedisKeys,
  self: string,
  dead: string,
  signal: AbortSignal,
): Promise<void> {
  const mine = await client.run((redis) => redis.set(keys.sweep(dead), self, 'PX', SWEEP_MS, 'NX'));
  if (mine === null) return;
  let cursor = '0';
  do {
    const [lease] = await client.run((redis) => redis.mget([keys.lease(dead)]));
    if (signal.aborted || (lease ?? null) !== null) {
      await release();
      return;
    }
    const from = cursor;
    const [next, agents] = await client.run((redis) =>
      redis.sscan(keys.held(dead), from, 'COUNT', STEP),
    );
    cursor = next;
    await Promise.all(agents.map((agentId) => forget(agentId)));
    if (agents.length > 0) await delay(PACE_MS, undefined, { signal, ref: false }).catch(() => {});
  } while (cursor !== '0');
  await client.run((redis) => redis.del(keys.held(dead)));
  await client.run((redis) => redis.hdel(keys.relays, dead));
  await release();

  async function forget(agentId: string): Promise<void> {
    await client.run((redis) => redis.hdel(keys.agent(agentId), dead));
  }

  async function release(): Promise<void> {
    await client.run((redis) => redis.del(keys.sweep(dead)));
  }
}
