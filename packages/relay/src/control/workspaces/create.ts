import { randomUUID } from 'node:crypto';
import type { AgentEnvironment, CreatedWorkspace, CreateWorkspace } from '@burrow/api';
import { by, type Actor } from '../../audit/event.ts';
import type { Principal } from '../../auth/principal.ts';
import { isUniqueViolation } from '../../db/sql-error.ts';
import { RelayError } from '../../errors.ts';
import { hashAgentToken, newAgentToken } from '../agent-token.ts';
import type { ControlContext } from '../context.ts';
import { generateName } from './generate-name.ts';
import { findWorkspace } from './rows.ts';
import { viewWorkspace } from './view.ts';

/** That of GitLab workspaces. */
const EDITOR_PORT = 60_001;
const MAX_WORKSPACES = 500;
/** Made-up names that are taken before giving up. */
const NAME_ATTEMPTS = 20;

/**
 * Makes a workspace with its agent. A local one starts in the background. Rejects with RelayError
 * `conflict` (the name is taken), `forbidden` or `bad-request`.
 */
export async function createWorkspace(
  context: ControlContext,
  actor: Actor,
  input: CreateWorkspace,
): Promise<CreatedWorkspace> {
  const { db, config, cache, workloads, audit } = context;
  await check(context, actor, input);
  const token = newAgentToken();
  for (let attempt = 1; ; attempt += 1) {
    const name = input.name ?? generateName();
    try {
      const id = await insert(context, actor, input, name, token);
      cache.drop(name);
      audit.record({
        action: 'workspace.created',
        outcome: 'ok',
        ...by(actor),
        workspace: name,
        detail: `driver ${input.driver}`,
      });
      if (input.driver === 'local') workloads.start({ id, name, agentToken: token });
      const view = viewWorkspace(context, await findWorkspace(db, actor, name));
      if (input.driver === 'local') return view;
      return { ...view, environment: agentEnvironment(config.agentUrl ?? config.publicUrl, token) };
    } catch (error) {
      if (!isUniqueViolation(error)) throw error;
      if (input.name !== undefined || attempt >= NAME_ATTEMPTS) {
        throw new RelayError(
          'conflict',
          `A workspace named "${name}" exists already. Choose another name, or terminate that one first.`,
          { blame: 'client', cause: error },
        );
      }
    }
  }
}

export function agentEnvironment(relayUrl: URL, token: string): AgentEnvironment {
  return { BURROW_RELAY_URL: relayUrl.origin, BURROW_AGENT_TOKEN: token };
}

async function check(
  { db, drivers, config }: ControlContext,
  principal: Principal,
  input: CreateWorkspace,
): Promise<void> {
  if (!drivers.has(input.driver)) {
    throw new RelayError('bad-request', `This relay has no driver "${input.driver}".`, {
      blame: 'policy',
    });
  }
  // Its editor and terminal run as the relay's own user.
  if (input.driver === 'local' && !principal.admin) {
    throw new RelayError(
      'forbidden',
      "Only an administrator may run a workspace on the relay's own machine.",
      { blame: 'policy' },
    );
  }
  const most = config.maxWorkspaces ?? MAX_WORKSPACES;
  const { count } = await db
    .selectFrom('workspaces')
    .select((row) => row.fn.countAll<number | string>().as('count'))
    .where('owner_id', '=', principal.userId)
    .where('terminated_at', 'is', null)
    .executeTakeFirstOrThrow();
  if (Number(count) >= most) {
    throw new RelayError(
      'forbidden',
      `You have ${most} workspaces, the most this relay allows. Terminate one first.`,
      { blame: 'policy' },
    );
  }
}

async function insert(
  { db, clock, config, leaseMs, changes }: ControlContext,
  principal: Principal,
  input: CreateWorkspace,
  name: string,
  token: string,
): Promise<string> {
  const id = randomUUID();
  const now = clock.now();
  await db.transaction().execute(async (trx) => {
    await trx
      .insertInto('workspaces')
      .values({
        id,
        name,
        owner_id: principal.userId,
        driver: input.driver,
        state: input.driver === 'local' ? 'starting' : 'running',
        state_reason: null,
        editor_port: input.editorPort ?? config.editorPort ?? EDITOR_PORT,
        created_at: now,
        terminated_at: null,
        ssh_server: null,
        ssh_host_key: null,
        ssh_user: null,
      })
      .execute();
    for (const port of input.ports ?? []) {
      await trx
        .insertInto('workspace_ports')
        .values({
          workspace_id: id,
          port: port.port,
          protocol: port.protocol,
          host: port.host,
          cors_origins: JSON.stringify(port.corsOrigins),
        })
        .execute();
    }
    await trx
      .insertInto('tunnel_agents')
      .values({
        id: randomUUID(),
        workspace_id: id,
        token_hash: hashAgentToken(token),
        token_created_at: now,
        lease_expires_at: now + leaseMs,
        connected_since: null,
        last_seen_at: null,
        created_at: now,
      })
      .execute();
    // Somebody may have asked for it a moment ago: that it does not exist is remembered too.
    await changes.record(trx, now, { kind: 'workspace', subject: name });
  });
  return id;
}
