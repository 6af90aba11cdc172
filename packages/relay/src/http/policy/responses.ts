import type { LocalResponse } from '../gate-policy.ts';

/** On every answer of ours: kept by no cache, told to no next page. */
export const PRIVATE_HEADERS: readonly string[] = [
  'Cache-Control',
  'no-store',
  'Referrer-Policy',
  'no-referrer',
  'X-Content-Type-Options',
  'nosniff',
];

export function redirect(
  status: 302 | 303,
  location: string,
  cookies: readonly string[] = [],
): LocalResponse {
  const headers = ['Location', location, ...PRIVATE_HEADERS];
  for (const cookie of cookies) headers.push('Set-Cookie', cookie);
  return { status, headers, body: '' };
}
