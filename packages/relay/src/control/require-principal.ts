import type { FastifyRequest, onRequestAsyncHookHandler } from 'fastify';
import type { Actor } from '../audit/event.ts';
import type { Principal } from '../auth/principal.ts';
import { RelayError } from '../errors.ts';

/** Undefined: nobody is signed in. */
export type Authenticate = (
  request: FastifyRequest,
) => Principal | undefined | Promise<Principal | undefined>;

const principals = new WeakMap<FastifyRequest, Actor>();

/** Refuses whoever is not signed in, before the body is read. */
export function requirePrincipal(authenticate: Authenticate): onRequestAsyncHookHandler {
  return async (request) => {
    const principal = await authenticate(request);
    if (!principal) {
      throw new RelayError(
        'unauthenticated',
        'Sign in first: send a personal access token as "Authorization: Bearer burrow_pat_…".',
        { blame: 'client' },
      );
    }
    principals.set(request, { ...principal, address: request.ip });
  };
}

/** Only for routes behind `requirePrincipal`. */
export function principalOf(request: FastifyRequest): Actor {
  const principal = principals.get(request);
  if (!principal) throw new Error('this route is not behind requirePrincipal');
  return principal;
}
