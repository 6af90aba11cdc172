import type { FastifyRequest } from 'fastify';
import { RelayError } from '../errors.ts';
import type { Auth } from './auth.ts';
import { bearerToken } from './bearer.ts';
import { cookieValues } from './cookies.ts';
import type { Principal } from './principal.ts';
import type { Session } from './sessions.ts';

/** What this file reads of a request; Fastify with `trustProxy`, so that the scheme is the browser's. */
export type AuthRequest = Pick<FastifyRequest, 'method' | 'protocol' | 'host' | 'headers'>;

/** `scheme://host[:port]` under which the browser sees the control host. */
export function controlOrigin(request: AuthRequest): string {
  return `${request.protocol}://${request.host}`;
}

function field(request: AuthRequest, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

/** The living session of the control host's cookie. */
export async function controlSession(
  auth: Auth,
  request: AuthRequest,
): Promise<Session | undefined> {
  const secure = request.protocol === 'https';
  for (const value of cookieValues(request.headers.cookie, 'session', secure)) {
    const session = await auth.sessions.verifyControl(value);
    if (session !== undefined) return session;
  }
  return undefined;
}

/** The form or script that sent this belongs to the control host itself. */
export function isFromControlHost(request: AuthRequest): boolean {
  return field(request, 'origin') === controlOrigin(request);
}

/**
 * Who asks, on the control host: `Burrow-Authorization: Bearer …`, else
 * `Authorization: Bearer …`, else the session cookie. Undefined: nobody said.
 * Rejects with RelayError `unauthenticated` (a token that is not good: the cookie
 * does not stand in for it) or `forbidden` (a cookie with an unsafe method, and
 * not from a page of the control host).
 */
export async function authenticateRequest(
  auth: Auth,
  request: AuthRequest,
): Promise<Principal | undefined> {
  const header = field(request, 'burrow-authorization') ?? field(request, 'authorization');
  if (header !== undefined) {
    const token = bearerToken(header);
    const principal = token === undefined ? undefined : await auth.tokens.verify(token);
    if (principal !== undefined) return principal;
    throw new RelayError(
      'unauthenticated',
      'The access token is malformed, unknown, expired or revoked. Make a new personal access token and send it as “Authorization: Bearer burrow_pat_…”.',
      { blame: 'client' },
    );
  }
  const session = await controlSession(auth, request);
  if (session === undefined) return undefined;
  if (!['GET', 'HEAD', 'OPTIONS'].includes(request.method) && !isFromControlHost(request)) {
    throw new RelayError(
      'forbidden',
      'A request that changes something and is signed in by a cookie must come from a page of the relay itself (its Origin says otherwise, or is missing). Programs send “Authorization: Bearer burrow_pat_…” instead.',
      { blame: 'policy' },
    );
  }
  return session.principal;
}
