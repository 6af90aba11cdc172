import { abortable } from './abortable.ts';
import { newestById, type RelayRecord } from './relay-record.ts';
import type { AgentRoute, Registry, RelayInfo } from './registry.ts';

/** What registries of one process share: a cluster without a store, for tests. */
export interface MemoryRegistryBus {
  /** incarnation → the relay, as long as it lives */
  readonly relays: Map<string, RelayRecord>;
  /** agent → incarnation → link → instance */
  readonly agents: Map<string, Map<string, Map<string, string>>>;
  readonly listeners: Set<(agentId: string) => void>;
  /** The relay died without a word: its lease ends. */
  expire(incarnation: string): void;
  /** A sentence: the store does not answer. Undefined: it does. */
  fail: Error | undefined;
}

export function memoryRegistryBus(): MemoryRegistryBus {
  const relays = new Map<string, RelayRecord>();
  return {
    relays,
    agents: new Map(),
    listeners: new Set(),
    fail: undefined,
    expire: (incarnation) => relays.delete(incarnation),
  };
}

let clock = 0;

export function memoryRegistry(bus: MemoryRegistryBus): Registry {
  const mine = new Set<(agentId: string) => void>();
  const held = new Map<string, Map<string, string>>();
  let self: RelayInfo | undefined;
  let stopped = false;
  let lookups = 0;
  let errors = 0;
  let commands = 0;

  function publish(agentId: string): void {
    // As over a network: never within the call that caused it.
    queueMicrotask(() => {
      for (const listener of bus.listeners) listener(agentId);
    });
  }

  function write(agentId: string): void {
    if (self === undefined || stopped) return;
    commands += 1;
    const links = held.get(agentId);
    const relays = bus.agents.get(agentId) ?? new Map<string, Map<string, string>>();
    const was = relays.has(self.incarnation);
    if (links === undefined) relays.delete(self.incarnation);
    else relays.set(self.incarnation, new Map(links));
    if (relays.size === 0) bus.agents.delete(agentId);
    else bus.agents.set(agentId, relays);
    if (was !== (links !== undefined)) publish(agentId);
  }

  async function lookup(agentId: string): Promise<AgentRoute[]> {
    // Answers come later, as those of a store do.
    await Promise.resolve();
    commands += 1;
    if (bus.fail !== undefined) {
      errors += 1;
      throw bus.fail;
    }
    const routes: AgentRoute[] = [];
    for (const [incarnation, links] of bus.agents.get(agentId) ?? []) {
      const relay = bus.relays.get(incarnation);
      if (relay === undefined || incarnation === self?.incarnation) continue;
      routes.push({ relay, instanceId: [...links.values()].at(-1) ?? '' });
    }
    return routes;
  }

  return {
    async start(info) {
      self = info;
      bus.relays.set(info.incarnation, { ...info, startedAt: ++clock });
      for (const agentId of held.keys()) write(agentId);
    },
    async stop() {
      if (stopped) return;
      stopped = true;
      for (const listener of mine) bus.listeners.delete(listener);
      if (self === undefined) return;
      bus.relays.delete(self.incarnation);
      for (const [agentId, relays] of bus.agents) {
        relays.delete(self.incarnation);
        if (relays.size === 0) bus.agents.delete(agentId);
      }
    },
    add(agentId, linkId, instanceId) {
      let links = held.get(agentId);
      if (links === undefined) held.set(agentId, (links = new Map()));
      links.set(linkId, instanceId);
      write(agentId);
    },
    remove(agentId, linkId) {
      const links = held.get(agentId);
      if (links === undefined || !links.delete(linkId)) return;
      if (links.size === 0) held.delete(agentId);
      write(agentId);
    },
    find(agentId, signal) {
      lookups += 1;
      return abortable(lookup(agentId), signal);
    },
    onChange(listener) {
      mine.add(listener);
      bus.listeners.add(listener);
      return () => {
        mine.delete(listener);
        bus.listeners.delete(listener);
      };
    },
    async relays() {
      if (bus.fail !== undefined) throw bus.fail;
      return newestById(bus.relays.values());
    },
    get lastSeen() {
      return newestById(bus.relays.values());
    },
    get size() {
      return Math.max(1, newestById(bus.relays.values()).length);
    },
    get healthy() {
      return bus.fail === undefined;
    },
    get problem() {
      return bus.fail?.message;
    },
    get counts() {
      return { lookups, errors, commands };
    },
  };
}
