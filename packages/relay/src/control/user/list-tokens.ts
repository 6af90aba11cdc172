import type { TokenList } from '@burrow/api';
import type { Principal } from '../../auth/principal.ts';
import type { AccessTokens } from '../../auth/tokens.ts';

/** One's own tokens, without their secrets. */
export async function listTokens(tokens: AccessTokens, principal: Principal): Promise<TokenList> {
  const rows = await tokens.list(principal.userId);
  return {
    tokens: rows.map(({ id, name, createdAt, expiresAt }) => ({
      id,
      name,
      createdAt: new Date(createdAt).toISOString(),
      expiresAt: expiresAt === undefined ? null : new Date(expiresAt).toISOString(),
    })),
  };
}
