import type { LocalResponse, RequestHead } from '../gate-policy.ts';

/** How long (s) a browser remembers the answer; a changed policy is felt within it. */
const MAX_AGE = 300;

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$/;
const TOKEN_LIST = /^[!#$%&'*+.^_`|~0-9A-Za-z, \t-]{0,2048}$/;

/**
 * Answers a preflight of an origin that the port's policy names. Browsers send
 * preflights without cookies, so this cannot ask who the person is: it only
 * repeats what the owner allowed. The request that follows is judged in full.
 */
export function allowPreflight(head: RequestHead, origin: string): LocalResponse {
  const method = head.get('access-control-request-method') ?? '';
  const asked = head.get('access-control-request-headers') ?? '';
  const headers = [
    ...allowed(origin),
    'Vary',
    'Origin, Access-Control-Request-Method, Access-Control-Request-Headers',
    'Access-Control-Max-Age',
    String(MAX_AGE),
  ];
  if (TOKEN.test(method)) headers.push('Access-Control-Allow-Methods', method);
  if (asked !== '' && TOKEN_LIST.test(asked)) headers.push('Access-Control-Allow-Headers', asked);
  return { status: 204, headers, body: '' };
}

/**
 * `origin` is one that the port's policy names, never merely the one that was sent.
 * Vary: a cache must not show the answer for one origin to another.
 */
export function corsHeaders(origin: string): string[] {
  return [...allowed(origin), 'Vary', 'Origin'];
}

function allowed(origin: string): string[] {
  return ['Access-Control-Allow-Origin', origin, 'Access-Control-Allow-Credentials', 'true'];
}
