import type { Auth } from '../../auth/auth.ts';
import { cookieValues, setCookie } from '../../auth/cookies.ts';
import { AUTH_LIMITS } from '../../auth/limits.ts';
import { html, newNonce } from '../../auth/pages/html.ts';
import { renderPage } from '../../auth/pages/layout.ts';
import { isReturnPath } from '../../auth/return-path.ts';
import { hashSecret, newSecret } from '../../auth/secrets.ts';
import type { LocalResponse, RequestHead } from '../gate-policy.ts';
import { readAppSession } from './credentials.ts';
import { errorResponse } from './error-response.ts';
import { redirect } from './responses.ts';

/** Longer than the hand-over itself: the person may have to sign in on the way. */
const NONCE_MS = 15 * 60_000;

export interface AppHost {
  /** `https://demo.burrow.test` */
  readonly origin: string;
  /** `demo.burrow.test`, as sessions are bound to it. */
  readonly authority: string;
  /** `https://burrow.test` */
  readonly controlOrigin: string;
}

/** Sends a person without a session to the control host, and remembers a nonce in their browser. */
export function beginHandOver(head: RequestHead, host: AppHost): LocalResponse {
  const nonce = newSecret();
  const query = new URLSearchParams({
    host: host.authority,
    return: returnPath(head.target),
    challenge: hashSecret(nonce),
  });
  return redirect(302, `${host.controlOrigin}/sign-in/hand-over?${query.toString()}`, [
    setCookie('nonce', nonce, { secure: head.secure, maxAgeMs: NONCE_MS }),
  ]);
}

/** `/.burrow` and everything below is ours on every app host. */
export function isReserved(target: string): boolean {
  return /^\/\.burrow(?:[/?#]|$)/.test(target);
}

/** Answers a path below `/.burrow`. */
export async function answerReserved(
  auth: Auth,
  head: RequestHead,
  host: AppHost,
): Promise<LocalResponse> {
  const [path, query = ''] = split(head.target);
  if (path === '/.burrow/callback' && head.method === 'GET') {
    return finishHandOver(auth, head, host, new URLSearchParams(query).get('code') ?? '');
  }
  if (path === '/.burrow/sign-out') {
    if (head.method === 'GET') return askToSignOut(host);
    if (head.method === 'POST') return signOut(auth, head, host);
  }
  return errorResponse(head, {
    code: 'not-found',
    message:
      'Paths below /.burrow/ belong to the relay on every host, and there is none of this name.',
  });
}

async function finishHandOver(
  auth: Auth,
  head: RequestHead,
  host: AppHost,
  code: string,
): Promise<LocalResponse> {
  const nonces = cookieValues(head.get('cookie'), 'nonce', head.secure);
  const again = `Open ${host.origin}/ again.`;
  // The back button leads here again, long after it worked.
  const isSignedIn = async (): Promise<boolean> =>
    (await readAppSession(auth, head, host.authority)) !== undefined;
  if (nonces.length === 0) {
    if (await isSignedIn()) return redirect(303, '/');
    return errorResponse(head, {
      code: 'unauthenticated',
      title: 'Signing in did not finish',
      message: 'Your browser did not send the cookie with which this sign-in began.',
      next: `Allow cookies for this host. ${again}`,
    });
  }
  const redeemed = await auth.handOver.redeem({ code, host: host.authority, nonces });
  if (redeemed.kind === 'unknown') {
    if (await isSignedIn()) return redirect(303, '/');
    return errorResponse(head, {
      code: 'unauthenticated',
      title: 'Signing in did not finish',
      message:
        'This sign-in was used before, took longer than 10 seconds or belongs to another host.',
      next: again,
    });
  }
  // Another tab began a hand-over meanwhile, with a nonce of its own: begin again.
  if (redeemed.kind === 'wrong-nonce') return redirect(303, redeemed.returnTo);
  const session = await auth.sessions.createApp({
    userId: redeemed.userId,
    parentId: redeemed.sessionId,
    host: host.authority,
  });
  const forgetNonce = setCookie('nonce', '', { secure: head.secure, maxAgeMs: 0 });
  if (session === undefined) return redirect(303, redeemed.returnTo, [forgetNonce]);
  return redirect(303, redeemed.returnTo, [
    setCookie('app', session.secret, {
      secure: head.secure,
      maxAgeMs: session.lifetimeMs,
    }),
    forgetNonce,
  ]);
}

function askToSignOut(host: AppHost): LocalResponse {
  const nonce = newNonce();
  return {
    status: 200,
    headers: [
      'Content-Type',
      'text/html; charset=utf-8',
      'Cache-Control',
      'no-store',
      // With `no-referrer` browsers would send the form with `Origin: null`.
      'Referrer-Policy',
      'same-origin',
      'X-Content-Type-Options',
      'nosniff',
      'Content-Security-Policy',
      `default-src 'none'; style-src 'nonce-${nonce}'; base-uri 'none'; form-action 'self' ${host.controlOrigin}; frame-ancestors 'none'`,
    ],
    body: renderPage({
      title: 'Sign out',
      nonce,
      body: html`<div class="card">
        <h1>Sign out of Burrow?</h1>
        <p>
          This ends your session here and on every other workspace you opened from this browser.
          Programs in the workspaces keep running.
        </p>
        <form method="post" action="/.burrow/sign-out"><button>Sign out</button></form>
      </div>`,
    }),
  };
}

async function signOut(auth: Auth, head: RequestHead, host: AppHost): Promise<LocalResponse> {
  if (head.get('origin') !== host.origin) {
    return errorResponse(head, {
      code: 'forbidden',
      message: 'Only a page of this host can sign you out here.',
    });
  }
  const session = await readAppSession(auth, head, host.authority);
  if (session !== undefined) await auth.sessions.revoke(session.parentId ?? session.id);
  return {
    ...redirect(303, `${host.controlOrigin}/sign-in`, [
      setCookie('app', '', { secure: head.secure, maxAgeMs: 0 }),
    ]),
  };
}

/** Where to go after signing in: the same bytes where they are safe, percent-encoded where not. */
function returnPath(target: string): string {
  const encoded = target.replace(
    /[^\x21-\x5b\x5d-\x7e]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  );
  const fits = encoded.length <= AUTH_LIMITS.appReturnPath;
  return fits && isReturnPath(encoded) && !isReserved(encoded) ? encoded : '/';
}

function split(target: string): [path: string, query: string | undefined] {
  const mark = target.indexOf('?');
  return mark < 0 ? [target, undefined] : [target.slice(0, mark), target.slice(mark + 1)];
}
