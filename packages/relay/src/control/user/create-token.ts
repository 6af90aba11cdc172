import type { CreatedToken, CreateToken } from '@burrow/api';
import type { Audit } from '../../audit/audit.ts';
import { by, type Actor } from '../../audit/event.ts';
import type { AccessTokens } from '../../auth/tokens.ts';
import { RelayError } from '../../errors.ts';
import type { Clock } from '../clock.ts';

/** Personal access tokens that one person may have. */
const MAX_TOKENS = 100;
const DAY_MS = 86_400_000;

export async function createToken(
  {
    tokens,
    clock,
    audit,
  }: {
    readonly tokens: AccessTokens;
    readonly clock: Clock;
    readonly audit: Pick<Audit, 'record'>;
  },
  actor: Actor,
  { name, expiresInDays }: CreateToken,
): Promise<CreatedToken> {
  if ((await tokens.list(actor.userId)).length >= MAX_TOKENS) {
    throw new RelayError(
      'forbidden',
      `You have ${MAX_TOKENS} access tokens, the most there may be. Revoke one first.`,
      { blame: 'policy' },
    );
  }
  const expiresAt = expiresInDays === undefined ? undefined : clock.now() + expiresInDays * DAY_MS;
  const made = await tokens.create(
    actor.userId,
    name,
    expiresAt === undefined ? {} : { expiresAt },
  );
  audit.record({
    action: 'token.created',
    outcome: 'ok',
    ...by(actor),
    detail: `${made.id} "${name}"`,
  });
  return {
    id: made.id,
    name,
    token: made.token,
    expiresAt: expiresAt === undefined ? null : new Date(expiresAt).toISOString(),
  };
}
