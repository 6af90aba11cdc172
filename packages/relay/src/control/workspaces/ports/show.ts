import type { Port } from '@burrow/api';
import type { Principal } from '../../../auth/principal.ts';
import type { ControlContext } from '../../context.ts';
import { DEFAULT_PORT_POLICY, type PortPolicy } from '../../directory.ts';
import { portUrl } from '../../urls.ts';
import { readPorts } from '../../workspace-cache.ts';
import { findWorkspace } from '../rows.ts';

/** A port's settings; the defaults when none were set: every port can be reached. */
export async function showPort(
  context: ControlContext,
  principal: Principal,
  name: string,
  port: number,
): Promise<Port> {
  const { id } = await findWorkspace(context.db, principal, name);
  const ports = await readPorts(context.db, id);
  return viewPort(context, name, port, ports.get(port) ?? DEFAULT_PORT_POLICY);
}

export function viewPort(
  { config }: Pick<ControlContext, 'config'>,
  name: string,
  port: number,
  { protocol, host, corsOrigins }: PortPolicy,
): Port {
  return {
    port,
    protocol,
    host,
    corsOrigins: [...corsOrigins],
    url: portUrl(config, name, port),
  };
}
