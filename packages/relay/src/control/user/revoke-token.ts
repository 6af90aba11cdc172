import type { Audit } from '../../audit/audit.ts';
import { by, type Actor } from '../../audit/event.ts';
import type { AccessTokens } from '../../auth/tokens.ts';
import { RelayError } from '../../errors.ts';

export async function revokeToken(
  { tokens, audit }: { readonly tokens: AccessTokens; readonly audit: Pick<Audit, 'record'> },
  actor: Actor,
  id: string,
): Promise<void> {
  if (!(await tokens.revoke(id, actor.userId))) {
    throw new RelayError('not-found', 'You have no access token with that id.', {
      blame: 'client',
    });
  }
  audit.record({ action: 'token.revoked', outcome: 'ok', ...by(actor), detail: id });
}
