import type { Principal } from '../../../auth/principal.ts';
import type { ControlContext } from '../../context.ts';
import { findWorkspace } from '../rows.ts';

/** Back to the defaults. Idempotent. */
export async function resetPort(
  context: ControlContext,
  principal: Principal,
  name: string,
  port: number,
): Promise<void> {
  const { db, clock, cache, changes } = context;
  const { id } = await findWorkspace(db, principal, name);
  await db.transaction().execute(async (trx) => {
    await trx
      .deleteFrom('workspace_ports')
      .where('workspace_id', '=', id)
      .where('port', '=', port)
      .execute();
    await changes.record(trx, clock.now(), { kind: 'workspace', subject: name });
  });
  cache.drop(name);
}
