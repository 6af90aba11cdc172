/**
 * The head of an HTTP/2 request, checked as strictly as an HTTP/1 one: it is
 * written out as HTTP/1, where a stray CR or space would be another request.
 */
import { isAuthority, isToken, parseLength } from './characters.ts';
import { HeadError } from './h1-head.ts';
import type { HttpLimits } from './limits.ts';

export interface H2Head {
  readonly method: string;
  readonly target: string;
  readonly authority: string;
  /** Without pseudo fields; Cookie joined into one (RFC 9113 section 8.2.3). */
  readonly headers: readonly string[];
  /** `:protocol` of an extended CONNECT (RFC 8441), lower case. */
  readonly protocol: string | undefined;
  /** -1: not announced. */
  readonly length: number;
}

// Every byte but controls, DEL (and for targets space and `#`).
// eslint-disable-next-line no-control-regex -- controls are what it looks for
const BAD_VALUE = /[\x00-\x08\x0a-\x1f\x7f]/;
// eslint-disable-next-line no-control-regex -- controls are what it looks for
const BAD_TARGET = /[\x00-\x20\x23\x7f]/;

/** Throws HeadError. */
export function parseH2Head(raw: readonly string[], limits: HttpLimits): H2Head {
  const pseudo = new Map<string, string>();
  const headers: string[] = [];
  let cookie = -1;
  let host: string | undefined;
  let length = -1;
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] as string;
    const value = raw[i + 1] as string;
    if (name.startsWith(':')) {
      if (pseudo.has(name)) throw new HeadError(400, `The request has several ${name} fields.`);
      pseudo.set(name, value);
      continue;
    }
    if (!isToken(name, 0, name.length) || BAD_VALUE.test(value)) {
      throw new HeadError(400, 'A header field holds a character that none may hold.');
    }
    if (name === 'host') {
      if (host !== undefined) throw new HeadError(400, 'The request has several Host fields.');
      host = value.toLowerCase();
      continue;
    }
    if (name === 'transfer-encoding') {
      throw new HeadError(400, 'HTTP/2 knows no Transfer-Encoding.');
    }
    if (name === 'content-length') {
      if (length !== -1) throw new HeadError(400, 'The request has several Content-Length fields.');
      length = parseLength(value);
      if (length < 0) throw new HeadError(400, 'Content-Length is not a number of bytes.');
    }
    if (name === 'cookie' && cookie !== -1) {
      headers[cookie] += `; ${value}`;
      continue;
    }
    headers.push(name, value);
    if (name === 'cookie') cookie = headers.length - 1;
    if (headers.length > limits.fields * 2) {
      throw new HeadError(431, `More than ${limits.fields} header fields.`);
    }
  }
  const authority = (pseudo.get(':authority') ?? host ?? '').toLowerCase();
  if (!isAuthority(authority)) throw new HeadError(400, 'The request names no valid host.');
  if (host !== undefined && host !== authority) {
    throw new HeadError(400, 'The Host field names another host than :authority.');
  }
  const method = pseudo.get(':method') ?? '';
  const protocol = pseudo.get(':protocol')?.toLowerCase();
  if (!isToken(method, 0, method.length))
    throw new HeadError(400, 'The request method is not a token.');
  if (method === 'CONNECT' && protocol === undefined) {
    throw new HeadError(405, 'CONNECT is not served here.');
  }
  if (protocol !== undefined) checkExtendedConnect(method, protocol, length);
  const target = pseudo.get(':path') ?? '';
  if (
    BAD_TARGET.test(target) ||
    !(target.startsWith('/') || (target === '*' && method === 'OPTIONS'))
  ) {
    throw new HeadError(400, 'The request target is no path.');
  }
  return {
    method: protocol === undefined ? method : 'GET',
    target,
    authority,
    headers,
    protocol,
    length,
  };
}

/**
 * The upgrade that an app gets has no body (what follows its head would be another
 * request), and does not change the framing under our feet.
 */
function checkExtendedConnect(method: string, protocol: string, length: number): void {
  if (method !== 'CONNECT' || !isToken(protocol, 0, protocol.length)) {
    throw new HeadError(400, 'Only CONNECT names a :protocol, and only one.');
  }
  if (length !== -1) throw new HeadError(400, 'CONNECT has no Content-Length.');
  // RFC 9220 section 3.
  if (protocol === 'h2c' || protocol === 'h2') {
    throw new HeadError(501, 'HTTP/2 is not served within an HTTP/2 stream.');
  }
}
