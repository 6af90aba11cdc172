import type { Auth } from './auth.ts';
import type { Principal } from './principal.ts';

/**
 * A way to sign in. Each ends in a Principal, for which the routes make a session;
 * sessions, tokens and hand-over do not know how the person proved who they are.
 * The routes serve form providers; those that redirect get a callback route with
 * the first of them.
 */
export type SignInProvider = FormProvider | RedirectProvider;

/** The person types a secret into our page. */
export interface FormProvider {
  readonly kind: 'form';
  readonly id: string;
  /** Label of the field, e.g. "Personal access token". */
  readonly label: string;
  /** Undefined: the secret is not known. */
  signIn(secret: string): Principal | undefined | Promise<Principal | undefined>;
}

/** The person goes to another site and comes back with a code. */
export interface RedirectProvider {
  readonly kind: 'redirect';
  readonly id: string;
  /** Text of the button, e.g. "Sign in with GitLab". */
  readonly label: string;
  /** Where to send the browser. `state` comes back unchanged. */
  begin(options: { callback: URL; state: string; signal: AbortSignal }): Promise<URL>;
  /** Undefined: the other site did not vouch for anybody. */
  finish(options: {
    callback: URL;
    state: string;
    signal: AbortSignal;
  }): Promise<Principal | undefined>;
}

/** Local users sign in with one of their personal access tokens. */
export function localProvider(auth: Pick<Auth, 'tokens'>): FormProvider {
  return {
    kind: 'form',
    id: 'local',
    label: 'Personal access token',
    signIn: (secret) => auth.tokens.verify(secret.trim()),
  };
}
