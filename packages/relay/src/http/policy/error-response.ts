import { html, newNonce, type Html } from '../../auth/pages/html.ts';
import { renderPage } from '../../auth/pages/layout.ts';
import { HTTP_STATUS } from '../../error-status.ts';
import type { Blame, RelayErrorCode } from '../../errors.ts';
import type { LocalResponse, RequestHead } from '../gate-policy.ts';
import { FAILURES, OPAQUE } from './failures.ts';
import { isPageNavigation } from './request-kind.ts';
import { PRIVATE_HEADERS } from './responses.ts';

const WHO: Readonly<Record<Blame, string>> = {
  client: 'the request',
  relay: 'the relay',
  agent: 'the workspace’s agent',
  app: 'the app in the workspace',
  policy: 'a rule',
};

export interface ErrorAnswer {
  readonly code: RelayErrorCode;
  /** What happened, in a sentence; default: the table's. */
  readonly message?: string;
  readonly title?: string;
  readonly next?: string;
  readonly blame?: Blame;
  /** Seconds. */
  readonly retryAfter?: number;
  /** Extra pairs. */
  readonly headers?: readonly string[];
  /** Show the page that waits and turns into the app. */
  readonly waiting?: boolean;
}

/** How often (s) a waiting page looks again. */
export const POLL_SECONDS = 2;

/**
 * Asks for this very page again until the answer is the app's: any answer that
 * does not carry our header. HEAD, so that a large page is not fetched twice.
 */
const POLL = `(()=>{const again=()=>setTimeout(look,${POLL_SECONDS * 1000});
const look=async()=>{try{const r=await fetch(location.href,{method:"HEAD",cache:"no-store",credentials:"same-origin",redirect:"manual",signal:AbortSignal.timeout(30000)});
if(r.headers.get("burrow-status")==="waiting")return again();location.reload()}catch{again()}};again()})()`;

/** A page for a person who opened a page, JSON for everything else. */
export function errorResponse(head: RequestHead, answer: ErrorAnswer): LocalResponse {
  const failure = FAILURES[answer.code];
  const message =
    answer.message === undefined || OPAQUE.has(answer.code) ? failure.what : answer.message;
  const blame = answer.blame ?? failure.blame;
  const next = answer.next ?? failure.next;
  const waiting = answer.waiting === true;
  const retryAfter = answer.retryAfter ?? (waiting ? POLL_SECONDS : undefined);
  const headers = [...PRIVATE_HEADERS, 'Burrow-Error', answer.code, ...(answer.headers ?? [])];
  if (retryAfter !== undefined) headers.push('Retry-After', String(Math.ceil(retryAfter)));
  if (waiting) headers.push('Burrow-Status', 'waiting');

  if (!isPageNavigation(head)) {
    const error = { code: answer.code, message, blame, next, requestId: head.id, retryAfter };
    return {
      status: HTTP_STATUS[answer.code],
      headers: [...headers, 'Content-Type', 'application/json; charset=utf-8'],
      body: `${JSON.stringify({ error })}\n`,
    };
  }
  const nonce = newNonce();
  // Apps are shown in frames of the editor, so their error pages are too: they hold nothing to click.
  const csp = `default-src 'none'; style-src 'nonce-${nonce}'; base-uri 'none'; form-action 'none'${waiting ? `; script-src 'nonce-${nonce}'; connect-src 'self'` : ''}`;
  const title = answer.title ?? failure.title;
  return {
    status: HTTP_STATUS[answer.code],
    headers: [
      ...headers,
      'Content-Type',
      'text/html; charset=utf-8',
      'Content-Security-Policy',
      csp,
    ],
    body: renderPage({
      title,
      nonce,
      body: card({ title, message, next, blame, code: answer.code, id: head.id, waiting }),
      ...(waiting ? { script: POLL, refreshWithoutScript: POLL_SECONDS + 1 } : {}),
    }),
  };
}

function card(view: {
  title: string;
  message: string;
  next: string;
  blame: Blame;
  code: string;
  id: string;
  waiting: boolean;
}): Html {
  const progress = view.waiting
    ? html`<div class="bar" role="progressbar" aria-label="Waiting"></div>
        <p class="small soft" aria-live="polite">This page turns into the app by itself.</p>`
    : undefined;
  return html`<div class="card">
    <h1>${view.title}</h1>
    <p>${view.message}</p>
    <p class="soft">${view.next}</p>
    ${progress}
    <dl>
      <dt>${view.waiting ? 'Waiting for' : 'What failed'}</dt>
      <dd>${WHO[view.blame]}</dd>
      <dt>Code</dt>
      <dd><code>${view.code}</code></dd>
      <dt>Request</dt>
      <dd><code>${view.id}</code></dd>
    </dl>
  </div>`;
}
