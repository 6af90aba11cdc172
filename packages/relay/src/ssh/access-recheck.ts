import { mayOpen } from '../auth/may-open.ts';
import type { WorkspaceRoute } from '../control/directory.ts';
import { ownerOf, type AuthorityDeps } from './relay-authority.ts';
import type { SignIn, SignIns } from './sign-ins.ts';

/**
 * Looks at every live sign-in again: a sentence for each that would no longer
 * be let in. A database in trouble says nothing about anybody: they stay.
 */
export async function lostAccess(
  deps: Pick<AuthorityDeps, 'keyOwner' | 'tokenOwner' | 'directory'>,
  signIns: SignIns,
): Promise<readonly { readonly signIn: SignIn; readonly sentence: string }[]> {
  const looked = await Promise.all(
    signIns.all().map(async (signIn) => {
      try {
        const sentence = await whyNot(deps, signIn);
        return sentence === undefined ? undefined : { signIn, sentence };
      } catch {
        return undefined;
      }
    }),
  );
  return looked.filter((each) => each !== undefined);
}

async function whyNot(
  deps: Pick<AuthorityDeps, 'keyOwner' | 'tokenOwner' | 'directory'>,
  signIn: SignIn,
): Promise<string | undefined> {
  const { proof, principal, workspace } = signIn;
  if (proof.kind !== 'approval') {
    const owner = await ownerOf(deps, new Map(), proof);
    if (owner?.userId !== principal.userId) {
      const what = proof.kind === 'key' ? 'key' : 'access token';
      return `Access was taken away: the ${what} that you signed in with was removed or has expired.`;
    }
  }
  if (workspace === undefined) return undefined;
  const found: WorkspaceRoute | undefined = await deps.directory.find(workspace);
  if (found === undefined) return `The workspace ${workspace} was terminated.`;
  return mayOpen(principal, found) ? undefined : `You may no longer open ${workspace}.`;
}
