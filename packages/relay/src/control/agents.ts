import { TunnelError } from '@burrow/tunnel';
import { hashAgentToken, isAgentToken } from './agent-token.ts';
import type { ControlContext } from './context.ts';
import type { AgentDirectory, AuthenticatedAgent } from './directory.ts';
import { beat, renew } from './lease.ts';
import { sshFactsOf } from './ssh/facts.ts';

/** What the links room asks of the control plane. */
export function agentDirectory(context: ControlContext): AgentDirectory {
  const { db, clock, revocations, activity, sshMemory, logger, leaseMs } = context;

  async function find(token: string): Promise<AuthenticatedAgent> {
    const hash = hashAgentToken(token);
    const row = await db
      .selectFrom('tunnel_agents')
      .innerJoin('workspaces', 'workspaces.id', 'tunnel_agents.workspace_id')
      .select(['tunnel_agents.id', 'workspace_id', 'name', 'lease_expires_at'])
      .where('token_hash', '=', hash)
      .executeTakeFirst();
    if (row === undefined) throw await unknown(hash);
    if (Number(row.lease_expires_at) <= clock.now() && !(await stillGood(row.id))) {
      throw new TunnelError(
        'token-expired',
        `The agent token of workspace "${row.name}" expired: no agent used it for ${hours(leaseMs)}. Replace it with POST /api/v1/workspaces/${row.name}/agent-token.`,
      );
    }
    return { agentId: row.id, workspaceId: row.workspace_id, workspaceName: row.name };
  }

  /** An expiry may be the clock's doing, not yet accounted for. */
  async function stillGood(agentId: string): Promise<boolean> {
    await beat(db, clock);
    const row = await db
      .selectFrom('tunnel_agents')
      .select('lease_expires_at')
      .where('id', '=', agentId)
      .executeTakeFirst();
    return row !== undefined && Number(row.lease_expires_at) > clock.now();
  }

  async function unknown(hash: string): Promise<TunnelError> {
    const revoked = await db
      .selectFrom('revoked_agent_tokens')
      .select('reason')
      .where('token_hash', '=', hash)
      .executeTakeFirst();
    if (revoked === undefined) {
      return new TunnelError('token-unknown', 'This relay never issued this agent token.');
    }
    return new TunnelError(
      'token-revoked',
      revoked.reason === 'workspace-terminated'
        ? 'The workspace of this agent token was terminated.'
        : 'This agent token was replaced by a new one.',
    );
  }

  return {
    async authenticate(token) {
      if (!isAgentToken(token)) {
        throw new TunnelError(
          'token-malformed',
          'This is not an agent token: it should be "burrow_agt_" and 43 characters.',
        );
      }
      try {
        return await find(token);
      } catch (error) {
        if (error instanceof TunnelError) throw error;
        logger.warn({ err: error }, 'an agent token could not be checked');
        throw new TunnelError('unavailable', "The relay's database does not answer; try again.", {
          cause: error,
        });
      }
    },

    connected(agentId, at, hello) {
      activity.connected(agentId, at);
      if (hello !== undefined) sshMemory.report(agentId, sshFactsOf(hello));
    },
    disconnected: (agentId, at) => activity.disconnected(agentId, at),

    async renewLeases(agentIds) {
      const missing = await renew(db, clock, leaseMs, agentIds);
      // A link accepted while its workspace was terminated is found here at the latest.
      for (const id of missing) revocations.announceAgent(id, 'its workspace was terminated');
    },

    onRevoked: (listener) => revocations.subscribe(listener),
  };
}

function hours(ms: number): string {
  return ms >= 3_600_000 ? `${Math.round(ms / 3_600_000)} h` : `${Math.round(ms / 1_000)} s`;
}
