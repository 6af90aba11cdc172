import type { Auth } from '../../auth/auth.ts';
import { bearerToken } from '../../auth/bearer.ts';
import { cookieValues } from '../../auth/cookies.ts';
import { whenReady, type MaybePromise } from '../../auth/maybe-promise.ts';
import type { Principal } from '../../auth/principal.ts';
import type { Session } from '../../auth/sessions.ts';
import type { RequestHead } from '../gate-policy.ts';

export type Credential =
  /** Sent on purpose, by a program: no other page can make a browser do that. */
  | { readonly kind: 'bearer'; readonly principal: Principal }
  /** Sent by the browser on its own: the request's origin must be judged. */
  | { readonly kind: 'cookie'; readonly principal: Principal; readonly session: Session }
  | { readonly kind: 'bad-bearer' }
  | { readonly kind: 'none'; readonly hadCookie: boolean };

/** Who asks, on an app host. The app's own `Authorization` is never looked at. */
export function readCredential(
  auth: Auth,
  head: RequestHead,
  authority: string,
): MaybePromise<Credential> {
  const field = head.get('burrow-authorization');
  if (field !== undefined) {
    const token = bearerToken(field);
    if (token === undefined) return { kind: 'bad-bearer' };
    return whenReady(auth.tokens.verify(token), (principal): Credential =>
      principal === undefined ? { kind: 'bad-bearer' } : { kind: 'bearer', principal },
    );
  }
  return whenReady(readAppSession(auth, head, authority), (session): Credential =>
    session === undefined
      ? {
          kind: 'none',
          hadCookie: cookieValues(head.get('cookie'), 'app', head.secure).length > 0,
        }
      : { kind: 'cookie', principal: session.principal, session },
  );
}

/** The first cookie that is a living session of exactly this host. */
export function readAppSession(
  auth: Auth,
  head: RequestHead,
  authority: string,
): MaybePromise<Session | undefined> {
  const values = cookieValues(head.get('cookie'), 'app', head.secure);
  const from = (index: number): MaybePromise<Session | undefined> => {
    const value = values[index];
    if (value === undefined) return undefined;
    return whenReady(auth.sessions.verifyApp(value, authority), (session) =>
      session === undefined ? from(index + 1) : session,
    );
  };
  return from(0);
}
