import type { FastifyReply } from 'fastify';
import { newNonce } from './html.ts';
import { renderPage, type Page } from './layout.ts';

/**
 * Sends a page of the control host. `formTargets`: origins to which a form's
 * answer may redirect (Chromium applies form-action to redirects too).
 */
export function sendPage(
  reply: FastifyReply,
  status: number,
  page: Omit<Page, 'nonce'>,
  formTargets = '',
): FastifyReply {
  const nonce = newNonce();
  return reply
    .code(status)
    .headers({
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-store',
      // Not `no-referrer`: browsers would then send our forms with `Origin: null`.
      'referrer-policy': 'same-origin',
      'x-content-type-options': 'nosniff',
      'cross-origin-opener-policy': 'same-origin',
      'content-security-policy': [
        "default-src 'none'",
        `style-src 'nonce-${nonce}'`,
        `form-action 'self'${formTargets === '' ? '' : ` ${formTargets}`}`,
        "frame-ancestors 'none'",
        "base-uri 'none'",
      ].join('; '),
    })
    .send(renderPage({ ...page, nonce }));
}

/** A redirect that no cache keeps and that tells the next page nothing of this one's address. */
export function sendRedirect(reply: FastifyReply, location: string, status = 303): FastifyReply {
  return reply
    .code(status)
    .headers({ location, 'cache-control': 'no-store', 'referrer-policy': 'no-referrer' })
    .send();
}
