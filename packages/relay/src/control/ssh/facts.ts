import { fingerprintOf } from '@burrow/ssh';
import type { HelloInfo } from '@burrow/tunnel';
import { sql, type Kysely } from 'kysely';
import type { Audit } from '../../audit/audit.ts';
import type { Tables } from '../../db/tables.ts';
import type { ControlLogger } from '../context.ts';

/** What an agent says of the SSH server beside it, checked. */
export interface SshFacts {
  readonly server: HelloInfo['sshServer'];
  /** `ssh-ed25519 AAAA…`, one line; null: there is none. */
  readonly hostKey: string | null;
  /** Whom a real sshd runs sessions as; null: the agent's own user. */
  readonly user: string | null;
}

/** Written into people's known_hosts: nothing but one key. */
const HOST_KEY =
  /^(?:ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521)) [A-Za-z0-9+/]{32,2000}={0,2}$/;
/** As useradd(8) of shadow-utils allows, and capitals. Becomes a principal of certificates. */
const USER = /^[A-Za-z_][A-Za-z0-9_.-]{0,31}$/;

export function sshFactsOf(
  hello: Pick<HelloInfo, 'sshServer' | 'sshHostKey' | 'sshUser'>,
): SshFacts {
  return {
    server: hello.sshServer,
    hostKey: HOST_KEY.test(hello.sshHostKey) ? hello.sshHostKey : null,
    user: USER.test(hello.sshUser) ? hello.sshUser : null,
  };
}

/** Agents in one statement. */
const BATCH = 200;

/**
 * Keeps what agents report with their workspaces, so that the host key is known
 * while the agent is away. Links call on the hot path: it is remembered here
 * and written in batches. A changed key is taken over, and told.
 */
export class SshMemory {
  readonly #db: Kysely<Tables>;
  readonly #logger: ControlLogger;
  readonly #audit: Pick<Audit, 'record'>;
  readonly #reported = new Map<string, SshFacts>();

  constructor(db: Kysely<Tables>, logger: ControlLogger, audit: Pick<Audit, 'record'>) {
    this.#db = db;
    this.#logger = logger;
    this.#audit = audit;
  }

  report(agentId: string, facts: SshFacts): void {
    this.#reported.set(agentId, facts);
  }

  /** What the agent of a workspace said when it last connected, to any relay. Undefined: nothing yet. */
  async of(
    agentId: string,
  ): Promise<Pick<HelloInfo, 'sshServer' | 'sshHostKey' | 'sshUser'> | undefined> {
    const row = await this.#db
      .selectFrom('tunnel_agents')
      .innerJoin('workspaces', 'workspaces.id', 'tunnel_agents.workspace_id')
      .select(['ssh_server', 'ssh_host_key', 'ssh_user'])
      .where('tunnel_agents.id', '=', agentId)
      .executeTakeFirst();
    if (row === undefined || row.ssh_server === null) return undefined;
    return {
      sshServer: row.ssh_server,
      sshHostKey: row.ssh_host_key ?? '',
      sshUser: row.ssh_user ?? '',
    };
  }

  /** Writes what was reported. Rejects when the database does; nothing is lost then. */
  async flush(): Promise<void> {
    while (this.#reported.size > 0) {
      const batch = new Map([...this.#reported].slice(0, BATCH));
      const rows = await this.#db
        .selectFrom('tunnel_agents')
        .innerJoin('workspaces', 'workspaces.id', 'tunnel_agents.workspace_id')
        .select([
          'tunnel_agents.id as agent_id',
          'workspaces.id',
          'name',
          'ssh_server',
          'ssh_host_key',
          'ssh_user',
        ])
        .where('tunnel_agents.id', 'in', [...batch.keys()])
        .execute();
      const changes = rows.flatMap((row) => changeOf(row, batch.get(row.agent_id)) ?? []);
      if (changes.length > 0) await this.#write(changes);
      for (const change of changes) this.#tell(change);
      // What was reported meanwhile stays.
      for (const [agentId, facts] of batch) {
        if (this.#reported.get(agentId) === facts) this.#reported.delete(agentId);
      }
    }
  }

  /** One statement however many they are: a fleet of new agents comes at once. */
  async #write(changes: readonly Change[]): Promise<void> {
    const rows = changes.map(
      ({ id, server, is, user }) =>
        sql`(cast(${id} as text), cast(${server} as text), cast(${is} as text), cast(${user} as text))`,
    );
    await sql`with told (id, server, host_key, ssh_user) as (values ${sql.join(rows)})
      update workspaces set ssh_server = told.server, ssh_host_key = told.host_key, ssh_user = told.ssh_user
      from told where workspaces.id = told.id`.execute(this.#db);
  }

  #tell({ name, was, is }: Change): void {
    if (was === null || is === null || is === was) return;
    const [before, now] = [fingerprint(was), fingerprint(is)];
    this.#logger.warn(
      { workspace: name, was: before, is: now },
      "a workspace's SSH host key has changed; clients that remember the old one will refuse it",
    );
    this.#audit.record({
      action: 'ssh.host-key-changed',
      outcome: 'ok',
      workspace: name,
      detail: `${before} to ${now}`,
    });
  }
}

interface Kept {
  readonly id: string;
  readonly name: string;
  readonly ssh_server: string | null;
  readonly ssh_host_key: string | null;
  readonly ssh_user: string | null;
}

/** Of what is kept with a workspace. `was` and `is`: its host key. */
interface Change {
  readonly id: string;
  readonly name: string;
  readonly server: SshFacts['server'];
  readonly user: string | null;
  readonly was: string | null;
  readonly is: string | null;
}

function changeOf(kept: Kept, facts: SshFacts | undefined): Change | undefined {
  if (facts === undefined) return undefined;
  const was = kept.ssh_host_key;
  // An agent without SSH today may have it again tomorrow, with the same key.
  const is = facts.hostKey ?? was;
  const { server, user } = facts;
  if (is === was && server === kept.ssh_server && user === kept.ssh_user) return undefined;
  return { id: kept.id, name: kept.name, server, user, was, is };
}

function fingerprint(line: string): string {
  return fingerprintOf(Buffer.from(line.split(' ')[1] ?? '', 'base64'));
}
