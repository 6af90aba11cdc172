import { MAX_PORTS, type Port, type PortSettings } from '@burrow/api';
import type { Principal } from '../../../auth/principal.ts';
import { RelayError } from '../../../errors.ts';
import type { ControlContext } from '../../context.ts';
import { findWorkspace } from '../rows.ts';
import { viewPort } from './show.ts';

/** Replaces a port's settings; requests from now on meet the new ones. */
export async function setPort(
  context: ControlContext,
  principal: Principal,
  name: string,
  port: number,
  settings: PortSettings,
): Promise<Port> {
  const { db, clock, cache, changes } = context;
  const { id } = await findWorkspace(db, principal, name);
  await db.transaction().execute(async (trx) => {
    const others = await trx
      .selectFrom('workspace_ports')
      .select('port')
      .where('workspace_id', '=', id)
      .where('port', '!=', port)
      .execute();
    if (others.length >= MAX_PORTS) {
      throw new RelayError(
        'forbidden',
        `"${name}" has settings for ${MAX_PORTS} ports, the most there may be. Remove some first.`,
        { blame: 'policy' },
      );
    }
    const values = {
      protocol: settings.protocol,
      host: settings.host,
      cors_origins: JSON.stringify(settings.corsOrigins),
    };
    await trx
      .insertInto('workspace_ports')
      .values({ workspace_id: id, port, ...values })
      .onConflict((conflict) => conflict.columns(['workspace_id', 'port']).doUpdateSet(values))
      .execute();
    await changes.record(trx, clock.now(), { kind: 'workspace', subject: name });
  });
  cache.drop(name);
  return viewPort(context, name, port, settings);
}
