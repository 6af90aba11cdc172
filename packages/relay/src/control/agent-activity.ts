import { sql, type Kysely } from 'kysely';
import type { Tables } from '../db/tables.ts';

/** How often what changed is written, ms. */
export const FLUSH_EVERY_MS = 1_000;
/** Agents in one statement. */
const ROWS = 500;

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
      for (let from = 0; from < batch.length; from += ROWS) {
        await this.#write(batch.slice(from, from + ROWS));
      }
    } catch (error) {
      for (const { id } of batch) this.#dirty.add(id);
      throw error;
    }
    for (const { id } of batch) {
      if (this.#agents.get(id)?.links === 0 && !this.#dirty.has(id)) this.#agents.delete(id);
    }
  }

  /** Two statements however many they are: thousands may come back at once. Saying it twice does no harm. */
  async #write(agents: readonly (SeenAgent & { readonly id: string })[]): Promise<void> {
    // PostgreSQL wants to be told the types of a list of values; SQLite does not mind.
    const rows = agents.map(
      ({ id, connectedSince, lastSeen }) =>
        sql`(cast(${id} as text), cast(${connectedSince ?? null} as bigint), cast(${lastSeen} as bigint))`,
    );
    await sql`with seen (id, since, last) as (values ${sql.join(rows)})
      update tunnel_agents set connected_since = seen.since, last_seen_at = seen.last
      from seen where tunnel_agents.id = seen.id`.execute(this.#db);
    const ids = agents.map(({ id }) => id);
    await this.#db
      .updateTable('workspaces')
      .set({ state: 'running' })
      .where('state', '=', 'starting')
      .where('id', 'in', (from) =>
        from.selectFrom('tunnel_agents').select('workspace_id').where('id', 'in', ids),
      )
      .execute();
  }

  #touch(agentId: string, agent: Activity, at: number): void {
    agent.lastSeen = Math.max(agent.lastSeen, at);
    this.#dirty.add(agentId);
    this.#changed(agentId);
  }
}
