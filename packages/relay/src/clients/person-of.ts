import { TunnelError } from '@burrow/tunnel';
import type { AccessTokens } from '../auth/tokens.ts';
import type { Principal } from '../auth/principal.ts';
import { checkToken } from '../links/check-token.ts';

/** Who is behind a personal access token. Rejects with TunnelError, in bounded time. */
export async function personOf(
  token: string | undefined,
  tokens: Pick<AccessTokens, 'verify'>,
  withinMs: number,
): Promise<Principal> {
  if (token === undefined) {
    throw new TunnelError(
      'token-malformed',
      'No personal access token came with this: send “Authorization: Bearer burrow_pat_…”.',
    );
  }
  const person = await checkToken(withinMs, tokens.verify(token));
  if (person !== undefined) return person;
  throw new TunnelError(
    'token-unknown',
    'The access token is malformed, unknown, expired or revoked. Make a new one and sign in again.',
  );
}
