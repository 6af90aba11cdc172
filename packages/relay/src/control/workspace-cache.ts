import type { Kysely } from 'kysely';
import type { Tables } from '../db/tables.ts';
import type { SeenAgent } from './agent-activity.ts';
import type { Clock } from './clock.ts';
import type { PortPolicy, WorkspaceDirectory, WorkspaceRoute } from './directory.ts';

/** Workspaces remembered: about 1 KiB each. */
const MAX_ROUTES = 10_000;
/** Names remembered as unknown, and for how long (ms): somebody may try names for ever. */
const MAX_UNKNOWN = 1_000;
const UNKNOWN_FOR_MS = 1_000;
/** Only this shape is looked up at all (`WORKSPACE_NAME`), so that junk costs no SQL. */
const NAME = /^[a-z]([a-z0-9-]{0,32}[a-z0-9])?$/;

/** Routes by name, from memory when known; the control plane drops what it changes. */
export class WorkspaceCache implements WorkspaceDirectory {
  readonly #db: Kysely<Tables>;
  readonly #clock: Clock;
  readonly #peek: (agentId: string) => SeenAgent | undefined;
  /** Least recently loaded first. */
  readonly #routes = new Map<string, WorkspaceRoute>();
  readonly #nameByAgent = new Map<string, string>();
  readonly #unknown = new Map<string, number>();
  readonly #loading = new Map<string, Promise<WorkspaceRoute | undefined>>();

  constructor(db: Kysely<Tables>, clock: Clock, peek: (agentId: string) => SeenAgent | undefined) {
    this.#db = db;
    this.#clock = clock;
    this.#peek = peek;
  }

  find(name: string): WorkspaceRoute | undefined | Promise<WorkspaceRoute | undefined> {
    const route = this.#routes.get(name);
    if (route) return route;
    if (!NAME.test(name)) return undefined;
    const unknownAt = this.#unknown.get(name);
    if (unknownAt !== undefined) {
      const age = this.#clock.now() - unknownAt;
      if (age >= 0 && age < UNKNOWN_FOR_MS) return undefined;
      this.#unknown.delete(name);
    }
    const under = this.#loading.get(name);
    if (under) return under;
    const loading: Promise<WorkspaceRoute | undefined> = this.#load(
      name,
      () => this.#loading.get(name) === loading,
    ).finally(() => {
      if (this.#loading.get(name) === loading) this.#loading.delete(name);
    });
    this.#loading.set(name, loading);
    return loading;
  }

  /** Call after every commit that changes a workspace, its ports or its agent. */
  drop(name: string): void {
    this.#forget(name);
    this.#unknown.delete(name);
    // What is being read may be from before the change: it is answered, but not kept.
    this.#loading.delete(name);
  }

  dropAgent(agentId: string): void {
    const name = this.#nameByAgent.get(agentId);
    if (name !== undefined) this.drop(name);
  }

  /** The agent came or went: routes are snapshots, so it gets a new one. */
  seen(agentId: string): void {
    const name = this.#nameByAgent.get(agentId);
    const route = name === undefined ? undefined : this.#routes.get(name);
    if (route) this.#routes.set(route.name, this.#withActivity(route));
  }

  async #load(name: string, current: () => boolean): Promise<WorkspaceRoute | undefined> {
    const row = await this.#db
      .selectFrom('workspaces')
      .innerJoin('tunnel_agents', 'tunnel_agents.workspace_id', 'workspaces.id')
      .select([
        'workspaces.id',
        'workspaces.name',
        'workspaces.owner_id',
        'workspaces.state',
        'workspaces.editor_port',
        'tunnel_agents.id as agent_id',
        'tunnel_agents.last_seen_at',
      ])
      .where('workspaces.name', '=', name)
      .where('workspaces.terminated_at', 'is', null)
      .executeTakeFirst();
    if (row === undefined) {
      if (current()) this.#keepUnknown(name);
      return undefined;
    }
    const ports = await readPorts(this.#db, row.id);
    const route = this.#withActivity({
      id: row.id,
      name: row.name,
      ownerId: row.owner_id,
      agentId: row.agent_id,
      state: row.state,
      editorPort: Number(row.editor_port),
      ports,
      agentLastSeen: row.last_seen_at === null ? undefined : Number(row.last_seen_at),
    });
    if (current()) this.#keep(route);
    return route;
  }

  #withActivity(route: WorkspaceRoute): WorkspaceRoute {
    const seen = this.#peek(route.agentId);
    if (!seen) return Object.freeze(route);
    return Object.freeze({
      ...route,
      state: route.state === 'starting' ? 'running' : route.state,
      agentLastSeen: Math.max(route.agentLastSeen ?? 0, seen.lastSeen),
    });
  }

  #keep(route: WorkspaceRoute): void {
    if (this.#routes.size >= MAX_ROUTES) {
      const oldest = this.#routes.keys().next().value;
      if (oldest !== undefined) this.#forget(oldest);
    }
    this.#routes.set(route.name, route);
    this.#nameByAgent.set(route.agentId, route.name);
  }

  #keepUnknown(name: string): void {
    if (this.#unknown.size >= MAX_UNKNOWN) {
      const oldest = this.#unknown.keys().next().value;
      if (oldest !== undefined) this.#unknown.delete(oldest);
    }
    this.#unknown.set(name, this.#clock.now());
  }

  #forget(name: string): void {
    const route = this.#routes.get(name);
    if (!route) return;
    this.#routes.delete(name);
    this.#nameByAgent.delete(route.agentId);
  }
}

export async function readPorts(
  db: Kysely<Tables>,
  workspaceId: string,
): Promise<ReadonlyMap<number, PortPolicy>> {
  const rows = await db
    .selectFrom('workspace_ports')
    .selectAll()
    .where('workspace_id', '=', workspaceId)
    .execute();
  return new Map(
    rows.map((row) => [
      Number(row.port),
      Object.freeze({
        protocol: row.protocol,
        host: row.host,
        corsOrigins: JSON.parse(row.cors_origins) as string[],
      }),
    ]),
  );
}
