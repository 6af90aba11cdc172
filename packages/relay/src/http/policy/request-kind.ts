import type { RequestHead } from '../gate-policy.ts';

/**
 * A browser is about to show the answer as a page (or in a frame). Fetch metadata
 * says it exactly; clients too old to send it are believed by their Accept.
 */
export function isPageNavigation(head: RequestHead): boolean {
  if (head.upgrade !== undefined) return false;
  const mode = head.get('sec-fetch-mode');
  if (mode !== undefined) return mode === 'navigate';
  return (head.get('accept') ?? '').toLowerCase().includes('text/html');
}

/** RFC 9110, 9.2.1: asks for nothing to be changed. */
export function isSafeMethod(method: string): boolean {
  return method === 'GET' || method === 'HEAD' || method === 'OPTIONS' || method === 'TRACE';
}

/** A CORS preflight (Fetch, 4.9); browsers send it without any credential. */
export function isPreflight(head: RequestHead): boolean {
  return (
    head.method === 'OPTIONS' &&
    head.get('origin') !== undefined &&
    head.get('access-control-request-method') !== undefined
  );
}
