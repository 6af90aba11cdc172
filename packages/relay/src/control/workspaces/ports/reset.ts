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
  const { db, cache } = context;
  const { id } = await findWorkspace(db, principal, name);
  await db
    .deleteFrom('workspace_ports')
    .where('workspace_id', '=', id)
    .where('port', '=', port)
    .execute();
  cache.drop(name);
}
