/**
 * Where the registry keeps what in Redis. Every command touches one key, or
 * several with the same hash tag (`{…}`): a Redis Cluster spreads the agents over
 * its nodes, and what is said of the relays, which is little, stays together.
 *
 * | key | type | holds |
 * |---|---|---|
 * | `{p:relays}` | hash | incarnation → relay id, of every relay that has not been cleaned up |
 * | `{p:relays}:lease:<incarnation>` | string with TTL | the relay, as JSON: it lives as long as this key |
 * | `{p:relays}:sweep:<incarnation>` | string with TTL | who cleans up after a dead relay |
 * | `p:held:<incarnation>` | set | agents that the relay holds: what is to be cleaned up after it |
 * | `p:agent:<id>` | hash | incarnation → instance id of the agent, of every relay with a link of it |
 * | `p:changes` | channel | `a <agent id> …` agents came or left; `r` relays came or left |
 */
export interface RedisKeys {
  readonly relays: string;
  lease(incarnation: string): string;
  sweep(incarnation: string): string;
  held(incarnation: string): string;
  agent(agentId: string): string;
  readonly changes: string;
}

export function redisKeys(prefix: string): RedisKeys {
  const relays = `{${prefix}:relays}`;
  return {
    relays,
    lease: (incarnation) => `${relays}:lease:${incarnation}`,
    sweep: (incarnation) => `${relays}:sweep:${incarnation}`,
    held: (incarnation) => `${prefix}:held:${incarnation}`,
    agent: (agentId) => `${prefix}:agent:${agentId}`,
    changes: `${prefix}:changes`,
  };
}
