import { AUTH_LIMITS } from './limits.ts';

/**
 * A path (with query) on the same host, safe in a `Location` header: `//host` and
 * `/\host` lead elsewhere in browsers, and browsers drop tabs and line ends
 * before they parse. Only visible ASCII: everything else comes percent-encoded.
 */
export function isReturnPath(path: string): boolean {
  return path.length <= AUTH_LIMITS.returnPath && /^\/(?!\/)[\x21-\x5b\x5d-\x7e]*$/.test(path);
}
