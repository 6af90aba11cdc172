import { abortable } from './abortable.ts';
import type { RedisClient } from '../cluster/redis-client.ts';
import { redisProblem, redisUnavailable } from '../cluster/redis-problem.ts';
import { REGISTRY_LIMITS } from './limits.ts';
import { RedisHoldings } from './redis-holdings.ts';
import { redisKeys } from './redis-keys.ts';
import { RedisMembership } from './redis-membership.ts';
import { sweepDead } from './redis-sweep.ts';
import type { AgentRoute, Registry, RelayInfo } from './registry.ts';
import type { TwinsLog } from './twins.ts';

export interface RedisRegistryLog extends TwinsLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

export interface RedisRegistryOptions {
  readonly client: RedisClient;
  readonly keyPrefix: string;
  /** How long others believe in this relay after its last sign of life; renewed three times as often. */
  readonly leaseMs: number;
  readonly log: RedisRegistryLog;
}

/** What can be wrong, each until it went well again. */
type Part = 'lease' | 'writing' | 'lookup';

/** The registry of a cluster whose relays share a Redis: see redis-keys.ts for what is where. */
export function redisRegistry(options: RedisRegistryOptions): Registry {
  const { client, leaseMs, log } = options;
  const keys = redisKeys(options.keyPrefix);
  const membership = new RedisMembership(client, keys, leaseMs, log);
  const problems = new Map<Part, string>();
  const listeners = new Set<(agentId: string) => void>();
  const stopping = new AbortController();
  let self: RelayInfo | undefined;
  let timer: NodeJS.Timeout | undefined;
  let dueAt = Infinity;
  let refreshedAt = -Infinity;
  let refreshing: Promise<void> | undefined;
  let again = false;
  let sweeping: Promise<void> | undefined;
  let stopped: Promise<void> | undefined;
  let lookups = 0;

  const holdings = new RedisHoldings({
    client,
    keys,
    onWritten: (error) => report('writing', error),
  });

  /** Says it once in the log when a part fails, and once when it is well again. */
  function report(part: Part, error: unknown): void {
    if (error === undefined) {
      if (problems.delete(part)) log.info({ part }, 'Redis serves the registry again');
      return;
    }
    const problem = redisProblem(error);
    if (problems.get(part) === problem) return;
    problems.set(part, problem);
    log.warn({ part, problem }, 'the registry of the cluster cannot use Redis');
  }

  /** The next refresh comes in `ms` at the latest. */
  function refreshWithin(ms: number): void {
    if (self === undefined || stopping.signal.aborted) return;
    if (refreshing !== undefined) {
      // What has just happened it may have passed already.
      again = true;
      return;
    }
    const now = performance.now();
    const at = Math.max(now + ms, refreshedAt + REGISTRY_LIMITS.refreshSoonestMs);
    if (at >= dueAt) return;
    clearTimeout(timer);
    dueAt = at;
    timer = setTimeout(() => void refresh(), at - now);
    timer.unref();
  }

  function refresh(): Promise<void> {
    clearTimeout(timer);
    dueAt = Infinity;
    refreshing ??= refreshNow().finally(() => {
      refreshing = undefined;
      refreshedAt = performance.now();
      const soon = problems.size > 0 || confirm || again;
      again = false;
      // Spread, so that relays that were started together do not come together.
      refreshWithin(
        soon ? REGISTRY_LIMITS.refreshRetryMs : (leaseMs / 3) * (0.9 + Math.random() * 0.2),
      );
    });
    return refreshing;
  }

  /** A lease lost while this process slept: what it wrote at waking may have been swept just then. */
  let confirm = false;
  let introduced = false;
  async function refreshNow(): Promise<void> {
    if (self === undefined || stopping.signal.aborted) return;
    try {
      const { rewritten, dead } = await membership.refresh(self);
      report('lease', undefined);
      report('lookup', undefined);
      if (rewritten || confirm) holdings.rewrite();
      // Twice, since a hint may be lost.
      if (rewritten || confirm) await hint('r');
      confirm = rewritten && introduced;
      introduced = true;
      if (dead[0] !== undefined) sweep(dead[0]);
      client.checkSubscription();
    } catch (error) {
      report('lease', error);
    }
  }

  /** Others look at their own lease, and at who is there, now instead of soon. */
  async function hint(message: string): Promise<void> {
    await client.run((redis) => redis.publish(keys.changes, message)).catch(() => undefined);
  }

  function sweep(dead: string): void {
    if (self === undefined) return;
    sweeping ??= sweepDead(client, keys, self.incarnation, dead, stopping.signal)
      .then(() => refreshWithin(REGISTRY_LIMITS.refreshRetryMs))
      // The next refresh finds it dead again.
      .catch(() => undefined)
      .finally(() => (sweeping = undefined));
  }

  function onMessage(message: string): void {
    const [kind, ...agentIds] = message.split(' ');
    if (kind === 'r') refreshWithin(Math.random() * REGISTRY_LIMITS.refreshSoonestMs);
    else if (kind === 'a') {
      for (const agentId of agentIds) for (const listener of listeners) listener(agentId);
    }
  }

  async function lookup(agentId: string): Promise<AgentRoute[]> {
    try {
      const entries = await client.run((redis) => redis.hgetall(keys.agent(agentId)));
      const instances = new Map(Object.entries(entries));
      instances.delete(self?.incarnation ?? '');
      if (instances.size === 0) {
        // Nobody has it. Or Redis was emptied: then this relay's own lease is gone too.
        if (performance.now() - refreshedAt > REGISTRY_LIMITS.refreshRetryMs) refreshWithin(0);
        return [];
      }
      const live = await membership.records([...instances.keys()]);
      const dead = [...instances.keys()].filter((incarnation) => !live.has(incarnation));
      if (dead.length > 0) {
        client.run((redis) => redis.hdel(keys.agent(agentId), ...dead)).catch(() => undefined);
      }
      report('lookup', undefined);
      return [...live.values()].map((relay) => ({
        relay,
        instanceId: instances.get(relay.incarnation) ?? '',
      }));
    } catch (error) {
      report('lookup', error);
      throw redisUnavailable(redisProblem(error), error);
    }
  }

  async function stopNow(): Promise<void> {
    const hurry = AbortSignal.timeout(REGISTRY_LIMITS.redisHurryMs);
    if (self !== undefined && client.problem === undefined) {
      await holdings.flushed(hurry);
      const { incarnation } = self;
      const clean = holdings.agents === 0 && holdings.unwritten === 0;
      stopping.abort();
      holdings.stop();
      await refreshing;
      const leave = membership.leave(incarnation, clean).then(() => hint('r'));
      await abortable(leave, hurry).catch((error: Error) =>
        log.warn(
          { problem: redisProblem(error) },
          'the lease could not be given back; it ends by itself',
        ),
      );
    }
    stopping.abort();
    clearTimeout(timer);
    holdings.stop();
    unsubscribe();
    listeners.clear();
    client.close();
    await Promise.all([refreshing, sweeping]);
  }

  const unsubscribe = client.onConnected(() => {
    holdings.rewrite();
    refreshWithin(0);
  });
  client.subscribe(keys.changes, onMessage);

  return {
    async start(info) {
      self = info;
      await connectedOnce(client, REGISTRY_LIMITS.redisHurryMs);
      await abortable(refresh(), AbortSignal.timeout(REGISTRY_LIMITS.redisHurryMs)).catch(
        (error: unknown) => {
          if (!problems.has('lease')) report('lease', error);
        },
      );
      holdings.start(info.incarnation);
    },
    stop: () => (stopped ??= stopNow()),
    add: (agentId, linkId, instanceId) => holdings.add(agentId, linkId, instanceId),
    remove: (agentId, linkId) => holdings.remove(agentId, linkId),
    find(agentId, signal) {
      lookups += 1;
      return abortable(lookup(agentId), signal);
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async relays() {
      if (self === undefined) return [];
      await refresh();
      const problem = problems.get('lease');
      if (problem !== undefined) throw redisUnavailable(problem);
      return membership.relays;
    },
    get lastSeen() {
      return membership.relays;
    },
    get size() {
      return Math.max(1, membership.relays.length);
    },
    get healthy() {
      return this.problem === undefined;
    },
    get problem() {
      return client.problem ?? problems.values().next().value;
    },
    get counts() {
      return { lookups, errors: client.errors, commands: client.commands };
    },
  };
}

/** Resolves once there is a connection, or at the bound. */
function connectedOnce(client: RedisClient, withinMs: number): Promise<void> {
  if (client.problem === undefined) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      unsubscribe();
      resolve();
    };
    const timer = setTimeout(done, withinMs);
    const unsubscribe = client.onConnected(done);
  });
}
