import { RelayError } from '../../errors.ts';
import { hashAgentToken, newAgentToken } from '../agent-token.ts';
import type { ControlContext } from '../context.ts';

type Needs = Pick<ControlContext, 'db' | 'clock' | 'leaseMs' | 'revocations'>;

/** Gives a workspace's agent a new token with a whole lease; links of the old one are cut at once. */
export async function replaceAgentToken(context: Needs, workspaceId: string): Promise<string> {
  const { db, clock, leaseMs, revocations } = context;
  const token = newAgentToken();
  const revocation = await db.transaction().execute(async (trx) => {
    const agent = await trx
      .selectFrom('tunnel_agents')
      .select(['id', 'token_hash'])
      .where('workspace_id', '=', workspaceId)
      .executeTakeFirst();
    if (!agent) {
      throw new RelayError('workspace-unknown', 'This workspace was terminated.', {
        blame: 'client',
      });
    }
    const now = clock.now();
    const revoked = {
      token_hash: agent.token_hash,
      agent_id: agent.id,
      revoked_at: now,
      reason: 'token-replaced',
    } as const;
    await trx.insertInto('revoked_agent_tokens').values(revoked).execute();
    await revocations.record(trx, revoked);
    await trx
      .updateTable('tunnel_agents')
      .set({
        token_hash: hashAgentToken(token),
        token_created_at: now,
        lease_expires_at: now + leaseMs,
      })
      .where('id', '=', agent.id)
      .execute();
    return revoked;
  });
  revocations.announce(revocation);
  return token;
}
