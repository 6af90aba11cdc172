import type { Kysely } from 'kysely';
import type { Tables } from '../db/tables.ts';

/** How often what changed is written, ms. */
export const FLUSH_EVERY_MS = 1_000;

interface Activity {
  links: number;
  connectedSince: number | undefined;
  lastSeen: number;
}

export interface SeenAgent {
  readonly connectedSince: number | undefined;
  readonly lastSeen: number;
}

/**
 * When agents came and went. Links call on the hot path, so it is kept here and
 * written in batches; an agent without links is forgotten once it is written.
 */
export class AgentActivity {
  readonly #db: Kysely<Tables>;
  readonly #agents = new Map<string, Activity>();
  readonly #dirty = new Set<string>();
  readonly #changed: (agentId: string) => void;

  /** `changed` is called when an agent's first link came or its last one went. */
  constructor(db: Kysely<Tables>, changed: (agentId: string) => void) {
    this.#db = db;
    this.#changed = changed;
  }

  connected(agentId: string, at: number): void {
    const agent = this.#agents.get(agentId) ?? {
      links: 0,
      connectedSince: undefined,
      lastSeen: at,
    };
    this.#agents.set(agentId, agent);
    agent.links += 1;
    agent.connectedSince ??= at;
    this.#touch(agentId, agent, at);
  }

  disconnected(agentId: string, at: number): void {
    const agent = this.#agents.get(agentId);
    if (!agent || agent.links === 0) return;
    agent.links -= 1;
    if (agent.links === 0) agent.connectedSince = undefined;
    this.#touch(agentId, agent, at);
  }

  /** What is newer than the database. */
  peek(agentId: string): SeenAgent | undefined {
    return this.#agents.get(agentId);
  }

  /** Writes what changed. Rejects when the database does; nothing is lost then. */
  async flush(): Promise<void> {
    if (this.#dirty.size === 0) return;
    const batch = [...this.#dirty].map((id) => ({ id, ...this.#agents.get(id)! }));
    this.#dirty.clear();
    try {
      await this.#db.transaction().execute(async (trx) => {
        for (const { id, connectedSince, lastSeen } of batch) {
          await trx
            .updateTable('tunnel_agents')
            .set({ connected_since: connectedSince ?? null, last_seen_at: lastSeen })
            .where('id', '=', id)
            .execute();
          await trx
            .updateTable('workspaces')
            .set({ state: 'running' })
            .where('state', '=', 'starting')
            .where('id', 'in', (from) =>
              from.selectFrom('tunnel_agents').select('workspace_id').where('id', '=', id),
            )
            .execute();
        }
      });
    } catch (error) {
      for (const { id } of batch) this.#dirty.add(id);
      throw error;
    }
    for (const { id } of batch) {
      if (this.#agents.get(id)?.links === 0 && !this.#dirty.has(id)) this.#agents.delete(id);
    }
  }

  #touch(agentId: string, agent: Activity, at: number): void {
    agent.lastSeen = Math.max(agent.lastSeen, at);
    this.#dirty.add(agentId);
    this.#changed(agentId);
  }
}
