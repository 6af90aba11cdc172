import type { Principal } from '../../auth/principal.ts';
import type { AccessTokens } from '../../auth/tokens.ts';
import { RelayError } from '../../errors.ts';

export async function revokeToken(
  tokens: AccessTokens,
  principal: Principal,
  id: string,
): Promise<void> {
  if (await tokens.revoke(id, principal.userId)) return;
  throw new RelayError('not-found', 'You have no access token with that id.', { blame: 'client' });
}
