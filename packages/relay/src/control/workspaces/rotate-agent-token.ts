import type { AgentToken } from '@burrow/api';
import { by, type Actor } from '../../audit/event.ts';
import { RelayError } from '../../errors.ts';
import type { ControlContext } from '../context.ts';
import { replaceAgentToken } from './replace-agent-token.ts';
import { agentEnvironment } from './create.ts';
import { findWorkspace } from './rows.ts';

/** A new token for the agent of an external workspace; the old one and its links end at once. */
export async function rotateAgentToken(
  context: ControlContext,
  actor: Actor,
  name: string,
): Promise<AgentToken> {
  const row = await findWorkspace(context.db, actor, name);
  if (row.driver !== 'external') {
    throw new RelayError(
      'conflict',
      `The relay runs the agent of "${name}" itself and renews its token with every start.`,
      { blame: 'client' },
    );
  }
  const token = await replaceAgentToken(context, row.id);
  context.audit.record({
    action: 'workspace.agent-token-replaced',
    outcome: 'ok',
    ...by(actor),
    workspace: name,
  });
  return {
    environment: agentEnvironment(context.config.agentUrl ?? context.config.publicUrl, token),
  };
}
