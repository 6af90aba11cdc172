import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify';
import type { WorkspaceDirectory } from '../control/directory.ts';
import { tooManyAttempts, type Wait } from './attempt-wait.ts';
import type { Auth } from './auth.ts';
import { cookieValues, setCookie } from './cookies.ts';
import { mayOpen } from './may-open.ts';
import { homePage, type HomeWorkspace } from './pages/home-page.ts';
import { sendPage, sendRedirect } from './pages/send.ts';
import {
  badHandOverPage,
  confirmLinkPage,
  noWorkspacePage,
  signInPage,
} from './pages/sign-in-page.ts';
import type { Principal } from './principal.ts';
import { localProvider, type FormProvider } from './provider.ts';
import { controlOrigin, controlSession, isFromControlHost } from './request-auth.ts';
import { isReturnPath } from './return-path.ts';
import { isSecret } from './secrets.ts';
import type { Aim } from './shared-attempts.ts';

export interface AuthRoutesDeps {
  readonly auth: Auth;
  readonly directory: WorkspaceDirectory;
  /** Which workspace an app host (authority in lower case) belongs to; undefined: it is none. */
  readonly workspaceOfHost: (authority: string, secure: boolean) => string | undefined;
  /** E.g. `localhost`. */
  readonly domain: string;
  /** The person's workspaces, for the home page. */
  readonly workspaces: (principal: Principal) => Promise<readonly HomeWorkspace[]>;
  readonly clock?: { now(): number };
}

type Query = Readonly<Record<string, string | string[] | undefined>>;

/** The pages with which people sign in, and their home page. */
export function authRoutes(deps: AuthRoutesDeps): FastifyPluginAsync {
  const { auth, directory, domain } = deps;
  const clock = deps.clock ?? { now: Date.now };
  const providers: readonly FormProvider[] = [localProvider(auth)];

  const isSecure = (request: FastifyRequest): boolean => request.protocol === 'https';

  /** `:8080` of the control host, as the browser sees it: app hosts have the same. */
  const portSuffix = (request: FastifyRequest): string => /:\d+$/.exec(request.host)?.[0] ?? '';

  /** App hosts to which a form's answer may lead. */
  const formTargets = (request: FastifyRequest): string =>
    `${request.protocol}://*.${domain}${portSuffix(request)}`;

  const showSignIn = (
    request: FastifyRequest,
    reply: FastifyReply,
    status: number,
    returnTo: string,
    problem?: string,
  ): FastifyReply =>
    sendPage(reply, status, signInPage({ providers, returnTo, problem }), formTargets(request));

  async function begin(request: FastifyRequest, reply: FastifyReply, userId: string) {
    const session = await auth.sessions.createControl(userId);
    reply.header(
      'set-cookie',
      setCookie('session', session.secret, {
        secure: isSecure(request),
        maxAgeMs: session.lifetimeMs,
      }),
    );
  }

  function workspaceUrl(request: FastifyRequest, name: string): string {
    return `${request.protocol}://${name}.${domain}${portSuffix(request)}/`;
  }

  async function useLink(request: FastifyRequest, reply: FastifyReply, code: string) {
    const current = await controlSession(auth, request);
    const wait = await auth.attempts.take(request.ip);
    if (wait !== undefined) return tooMany(request, reply, wait);
    const link = isSecret(code) ? await auth.signInLinks.consume(code) : undefined;
    if (link === undefined) {
      await auth.attempts.failed(request.ip);
      // Somebody opened their bookmark or the printed link again.
      if (current !== undefined) return sendRedirect(reply, '/');
      return showSignIn(
        request,
        reply,
        401,
        '/',
        'This sign-in link was used before, is older than 15 minutes or was never valid. Ask for a new one, or use an access token.',
      );
    }
    auth.attempts.giveBack(request.ip);
    await auth.attempts.remember(request.ip);
    if (current?.principal.userId !== link.userId) {
      if (current !== undefined) await auth.sessions.revoke(current.id);
      await begin(request, reply, link.userId);
    }
    return sendRedirect(reply, link.returnTo);
  }

  function tooMany(request: FastifyRequest, reply: FastifyReply, wait: Wait, returnTo = '/') {
    reply.header('retry-after', String(wait.seconds));
    return showSignIn(request, reply, 429, returnTo, tooManyAttempts(wait));
  }

  /** Which workspace signing in leads to; it may not exist. */
  function aimOf(request: FastifyRequest, returnTo: string): Aim | undefined {
    const to = new URL(returnTo, controlOrigin(request));
    const name =
      to.pathname === '/sign-in/hand-over'
        ? deps.workspaceOfHost((to.searchParams.get('host') ?? '').toLowerCase(), isSecure(request))
        : /^\/open\/([^/]+)$/.exec(to.pathname)?.[1]?.toLowerCase();
    return name === undefined ? undefined : `workspace:${name.slice(0, 64)}`;
  }

  // oxlint-disable-next-line require-await -- Fastify wants a plugin to be asynchronous
  return async (app) => {
    app.addContentTypeParser(
      'application/x-www-form-urlencoded',
      { parseAs: 'string', bodyLimit: 16 * 1024 },
      (_request, body, done) => done(null, new URLSearchParams(String(body))),
    );

    app.get<{ Querystring: Query }>('/sign-in', async (request, reply) => {
      const code = one(request.query['code']);
      if (code !== undefined) {
        if (!isOpenedByPerson(request)) return sendPage(reply, 200, confirmLinkPage(code));
        return useLink(request, reply, code);
      }
      const returnTo = returnPath(one(request.query['return']));
      if ((await controlSession(auth, request)) !== undefined) return sendRedirect(reply, returnTo);
      return showSignIn(request, reply, 200, returnTo);
    });

    app.post<{ Body: unknown }>('/sign-in', async (request, reply) => {
      const form = request.body instanceof URLSearchParams ? request.body : new URLSearchParams();
      const returnTo = returnPath(form.get('return') ?? undefined);
      if (!isFromControlHost(request)) {
        return showSignIn(
          request,
          reply,
          403,
          '/',
          'This form was not sent by the relay’s own sign-in page. Please sign in here.',
        );
      }
      const aim = aimOf(request, returnTo);
      const wait = await auth.attempts.take(request.ip, aim);
      if (wait !== undefined) return tooMany(request, reply, wait, returnTo);
      const provider = providers.find((each) => each.id === form.get('provider'));
      const principal = await provider?.signIn(form.get('secret') ?? '');
      if (principal === undefined) {
        await auth.attempts.failed(request.ip, aim);
        return showSignIn(
          request,
          reply,
          401,
          returnTo,
          'This access token is unknown, expired or revoked.',
        );
      }
      auth.attempts.giveBack(request.ip, aim);
      await auth.attempts.remember(request.ip);
      await begin(request, reply, principal.userId);
      return sendRedirect(reply, returnTo);
    });

    app.post('/sign-out', async (request, reply) => {
      if (!isFromControlHost(request)) {
        return sendPage(reply, 403, badHandOverPage('Only a page of the relay can sign you out.'));
      }
      const session = await controlSession(auth, request);
      if (session !== undefined) await auth.sessions.revoke(session.id);
      reply.header(
        'set-cookie',
        setCookie('session', '', { secure: isSecure(request), maxAgeMs: 0 }),
      );
      return sendRedirect(reply, '/sign-in');
    });

    app.get<{ Querystring: Query }>('/sign-in/hand-over', async (request, reply) => {
      const host = (one(request.query['host']) ?? '').toLowerCase();
      const challenge = one(request.query['challenge']) ?? '';
      const workspace = deps.workspaceOfHost(host, isSecure(request));
      // The same port as ours: another one on the same name may be anybody's server.
      if (
        workspace === undefined ||
        !isSecret(challenge) ||
        (/:\d+$/.exec(host)?.[0] ?? '') !== portSuffix(request)
      ) {
        return sendPage(reply, 400, badHandOverPage('The link to this page is damaged.'));
      }
      const session = await controlSession(auth, request);
      if (session === undefined) {
        return sendRedirect(
          reply,
          `/sign-in?${new URLSearchParams({ return: request.url }).toString()}`,
        );
      }
      const route = await directory.find(workspace);
      if (route === undefined || !mayOpen(session.principal, route)) {
        return sendPage(reply, 404, noWorkspacePage(host));
      }
      const code = await auth.handOver.create({
        userId: session.principal.userId,
        sessionId: session.id,
        host,
        challenge,
        returnTo: returnPath(one(request.query['return'])),
      });
      return sendRedirect(
        reply,
        `${request.protocol}://${host}/.burrow/callback?code=${code}`,
        302,
      );
    });

    /** The way from a sign-in link into an editor: a link leads to a path of this host only. */
    app.get<{ Params: { workspace: string } }>('/open/:workspace', async (request, reply) => {
      const session = await controlSession(auth, request);
      const wanted = request.params.workspace;
      if (session === undefined) {
        const back = returnPath(`/open/${encodeURIComponent(wanted)}`);
        return sendRedirect(reply, `/sign-in?return=${encodeURIComponent(back)}`);
      }
      const theirs = await deps.workspaces(session.principal);
      const found = theirs.some(({ name }) => name === wanted);
      return sendRedirect(reply, found ? workspaceUrl(request, wanted) : '/');
    });

    app.get('/', async (request, reply) => {
      const session = await controlSession(auth, request);
      if (session === undefined) {
        const stale = cookieValues(request.headers.cookie, 'session', isSecure(request)).length > 0;
        if (stale) {
          reply.header(
            'set-cookie',
            setCookie('session', '', { secure: isSecure(request), maxAgeMs: 0 }),
          );
        }
        return sendRedirect(reply, '/sign-in');
      }
      return sendPage(
        reply,
        200,
        homePage({
          username: session.principal.username,
          workspaces: await deps.workspaces(session.principal),
          origin: controlOrigin(request),
          urlOf: (name) => workspaceUrl(request, name),
          now: clock.now(),
        }),
      );
    });
  };
}

function one(value: string | string[] | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function returnPath(path: string | undefined): string {
  return path !== undefined && isReturnPath(path) ? path : '/';
}

/**
 * Browsers and chat programs fetch links ahead; that must not use up a code. A
 * client without fetch metadata is taken at its word.
 */
function isOpenedByPerson(request: FastifyRequest): boolean {
  const { headers } = request;
  if (request.method !== 'GET') return false;
  if (
    /prefetch|preview|prerender/i.test(
      String(
        headers['sec-purpose'] ??
          headers['purpose'] ??
          headers['x-purpose'] ??
          headers['x-moz'] ??
          '',
      ),
    )
  ) {
    return false;
  }
  const mode = headers['sec-fetch-mode'];
  const dest = headers['sec-fetch-dest'];
  return (mode === undefined || mode === 'navigate') && (dest === undefined || dest === 'document');
}
