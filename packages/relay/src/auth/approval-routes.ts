import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify';
import type { Audit } from '../audit/audit.ts';
import { by } from '../audit/event.ts';
import type { Auth } from './auth.ts';
import { approvalDonePage, approvalGonePage, approvePage } from './pages/approve-page.ts';
import { sendPage, sendRedirect } from './pages/send.ts';
import type { Principal } from './principal.ts';
import { controlSession, isFromControlHost } from './request-auth.ts';
import { isSecret } from './secrets.ts';

export interface ApprovalRoutesDeps {
  readonly auth: Auth;
  readonly audit: Pick<Audit, 'record'>;
  readonly clock?: { now(): number };
}

const PATH = '/ssh/approve';

/** The link to show in the terminal: its code is in the query, which no log keeps. */
export function approvalUrl(publicUrl: URL, code: string): string {
  return new URL(`${PATH}?${new URLSearchParams({ code }).toString()}`, publicUrl).href;
}

/** The page on which a signed-in person approves a sign-in by SSH. */
export function approvalRoutes(deps: ApprovalRoutesDeps): FastifyPluginAsync {
  const { auth, audit } = deps;
  const clock = deps.clock ?? { now: Date.now };

  const gone = (reply: FastifyReply): FastifyReply => sendPage(reply, 404, approvalGonePage());

  /** Guesses count, answers do not; undefined: it was refused. */
  async function guarded<T>(
    request: FastifyRequest,
    reply: FastifyReply,
    who: Principal,
    look: () => Promise<T | undefined>,
  ): Promise<{ readonly found: T | undefined } | undefined> {
    const aim = `user:${who.userId}` as const;
    const wait = await auth.attempts.take(request.ip, aim);
    if (wait !== undefined) {
      reply.header('retry-after', String(wait.seconds));
      const whose = wait.counted === 'address' ? 'from your address' : 'in your name';
      const sentence = `Too many failed attempts ${whose}. Try again in ${wait.seconds} s.`;
      sendPage(reply, 429, approvalGonePage(sentence));
      return undefined;
    }
    const found = await look();
    if (found === undefined) await auth.attempts.failed(request.ip, aim);
    else auth.attempts.giveBack(request.ip, aim);
    return { found };
  }

  // oxlint-disable-next-line require-await -- Fastify wants a plugin to be asynchronous
  return async (app) => {
    app.addContentTypeParser(
      'application/x-www-form-urlencoded',
      { parseAs: 'string', bodyLimit: 4 * 1024 },
      (_request, body, done) => done(null, new URLSearchParams(String(body))),
    );

    app.get<{ Querystring: Readonly<Record<string, unknown>> }>(
      PATH,
      { schema: { hide: true } },
      async (request, reply) => {
        const { code } = request.query;
        if (typeof code !== 'string' || !isSecret(code)) return gone(reply);
        const session = await controlSession(auth, request);
        if (session === undefined) {
          const back = `${PATH}?code=${code}`;
          return sendRedirect(reply, `/sign-in?return=${encodeURIComponent(back)}`);
        }
        const looked = await guarded(request, reply, session.principal, () =>
          auth.approvals.show(code),
        );
        if (looked === undefined) return reply;
        if (looked.found === undefined) return gone(reply);
        const page = approvePage({
          approval: looked.found,
          code,
          username: session.principal.username,
          address: request.ip,
          now: clock.now(),
        });
        return sendPage(reply, 200, page);
      },
    );

    app.post<{ Body: unknown }>(PATH, { schema: { hide: true } }, async (request, reply) => {
      if (!isFromControlHost(request)) {
        return sendPage(
          reply,
          403,
          approvalGonePage('Only the relay’s own page can approve or deny a sign-in.'),
        );
      }
      const session = await controlSession(auth, request);
      if (session === undefined) return sendRedirect(reply, '/sign-in');
      const form = request.body instanceof URLSearchParams ? request.body : new URLSearchParams();
      const code = form.get('code') ?? '';
      // Whatever does not plainly say yes is a no.
      const approved = form.get('decision') === 'approve';
      const { principal } = session;
      const decided = await guarded(request, reply, principal, () =>
        approved ? auth.approvals.approve(code, principal) : auth.approvals.deny(code, principal),
      );
      if (decided === undefined) return reply;
      if (decided.found === undefined) return gone(reply);
      const approval = decided.found;
      audit.record({
        action: approved ? 'ssh.approved' : 'ssh.approval-denied',
        outcome: approved ? 'ok' : 'refused',
        ...by({ ...principal, address: request.ip }),
        workspace: approval.workspace,
        detail: `${approval.userCode} from ${approval.address}`,
      });
      return sendPage(reply, 200, approvalDonePage({ approval, approved }));
    });
  };
}
