import type { Principal } from '../../packages/relay/src/auth/principal.ts';
import type { Relay } from '../../packages/relay/src/relay.ts';

export interface FirstUser {
  readonly admin: Principal;
  /** A personal access token, good until the next start. */
  readonly token: string;
}

/** The administrator of a relay that is for one person; made at the first start. */
export async function firstUser(relay: Relay, tokenName: string): Promise<FirstUser> {
  const admin = await relay.auth.users.ensureLocalAdmin();
  const { token } = await relay.auth.tokens.replaceByName(admin.userId, tokenName);
  return { admin, token };
}

/** A link that signs in once. */
export async function signInUrl(
  relay: Relay,
  { admin, workspace }: { admin: Principal; workspace: string | undefined },
): Promise<string> {
  const { code } = await relay.auth.signInLinks.create({
    userId: admin.userId,
    returnTo: workspace === undefined ? '/' : `/open/${workspace}`,
  });
  return `${relay.url.origin}/sign-in?code=${code}`;
}
