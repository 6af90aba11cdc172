import { by, type Actor } from '../../audit/event.ts';
import type { ControlContext } from '../context.ts';
import { findWorkspace, unknownWorkspace } from './rows.ts';

/**
 * Ends a workspace: its agent goes with it, its token is revoked, links and channels are cut at
 * once, and a local workload is stopped. Its name is free again.
 */
export async function terminateWorkspace(
  context: ControlContext,
  actor: Actor,
  name: string,
): Promise<void> {
  const { db, clock, cache, changes, revocations, workloads, audit } = context;
  const { id } = await findWorkspace(db, actor, name);
  const revocation = await db.transaction().execute(async (trx) => {
    const ended = await trx
      .updateTable('workspaces')
      .set({ terminated_at: clock.now(), state: 'stopped' })
      .where('id', '=', id)
      .where('terminated_at', 'is', null)
      .executeTakeFirst();
    // Somebody else was faster.
    if (ended.numUpdatedRows === 0n) throw unknownWorkspace(name);
    const agent = await trx
      .selectFrom('tunnel_agents')
      .select(['id', 'token_hash'])
      .where('workspace_id', '=', id)
      .executeTakeFirstOrThrow();
    const revoked = {
      token_hash: agent.token_hash,
      agent_id: agent.id,
      revoked_at: clock.now(),
      reason: 'workspace-terminated',
    } as const;
    await trx.insertInto('revoked_agent_tokens').values(revoked).execute();
    await trx.deleteFrom('tunnel_agents').where('id', '=', agent.id).execute();
    await revocations.record(trx, revoked);
    await changes.record(trx, clock.now(), { kind: 'workspace', subject: name });
    await trx.deleteFrom('workspace_ports').where('workspace_id', '=', id).execute();
    return revoked;
  });
  cache.drop(name);
  revocations.announce(revocation);
  audit.record({ action: 'workspace.terminated', outcome: 'ok', ...by(actor), workspace: name });
  await workloads.stop(id);
}
