/**
 * What happens to header fields between client and app. Everything not named
 * here passes with its order, case and duplicates.
 *
 * Requests lose: hop-by-hop fields (RFC 9110 section 7.6.1) and those that
 * Connection names; Forwarded, X-Forwarded-* and X-Real-IP (also spelt with
 * `_`, which CGI-like apps cannot tell from `-`); and on their way to an app our
 * cookies and Burrow-Authorization. Responses lose hop-by-hop fields and
 * cookies for a wider domain than their host. No Via is added.
 */

const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
]);

/** A field that Connection may not remove: the message would change its meaning. */
const END_TO_END = new Set([
  'host',
  'content-length',
  'cookie',
  'authorization',
  'origin',
  'burrow-authorization',
]);

const OUR_COOKIE = /^(?:__(?:host|secure)-)?burrow_(?:session|app|nonce)$/i;
const SETS_OURS = /^[\s=]*(?:__(?:host|secure)-)?burrow_(?:session|app|nonce)\s*(?:[=;]|$)/i;

/** Where a request came from, as the app is told. */
export interface ForwardedBy {
  /** The peer of our socket. */
  readonly peerAddress: string;
  /** What the trusted peer said, to be continued; undefined from anyone else. */
  readonly forwardedFor: string | undefined;
  readonly forwarded: string | undefined;
  readonly secure: boolean;
  /** Lower case, as asked for. */
  readonly authority: string;
}

export interface RequestRules {
  /** False for the control server: it needs our cookies and tokens. */
  readonly stripOurs: boolean;
  /** The Host value that the app sees. */
  readonly host: string;
  /** Origin and Referer that begin with `from` get `to` instead. */
  readonly origin: { readonly from: string; readonly to: string } | undefined;
  /** The upgrade that is passed on. */
  readonly upgrade: string | undefined;
}

/**
 * Field lines for the app, each with CRLF. Transfer-Encoding is not among them;
 * Content-Length is when it was there.
 */
export function requestLines(
  headers: readonly string[],
  connection: readonly string[],
  by: ForwardedBy,
  rules: RequestRules,
): string {
  let text = `Host: ${rules.host}\r\n`;
  let trailers = false;
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i] as string;
    let value = headers[i + 1] as string;
    const lower = name.toLowerCase();
    if (lower === 'host') continue;
    if (lower === 'te') trailers ||= /(^|,)\s*trailers\s*(,|$)/i.test(value);
    if (HOP_BY_HOP.has(lower)) continue;
    if (connection.length > 0 && connection.includes(lower) && !END_TO_END.has(lower)) continue;
    if (isForwarding(lower)) continue;
    if (rules.stripOurs) {
      if (lower === 'cookie') {
        const kept = stripCookies(value);
        if (kept === undefined) continue;
        value = kept;
      } else if (/^burrow[-_]authorization$/.test(lower)) continue;
    }
    if (rules.origin !== undefined && (lower === 'origin' || lower === 'referer')) {
      value = replaceOrigin(value, rules.origin.from, rules.origin.to);
    }
    text += `${name}: ${value}\r\n`;
  }
  text += forwardedLines(by);
  if (rules.upgrade !== undefined) text += `Connection: Upgrade\r\nUpgrade: ${rules.upgrade}\r\n`;
  else if (trailers) text += 'Connection: TE\r\nTE: trailers\r\n';
  return text;
}

/** X-Forwarded-* and Forwarded (RFC 7239), each with CRLF. */
export function forwardedLines(by: ForwardedBy): string {
  const proto = by.secure ? 'https' : 'http';
  const port = /:([0-9]+)$/.exec(by.authority)?.[1] ?? (by.secure ? '443' : '80');
  const chain = by.forwardedFor === undefined ? '' : `${by.forwardedFor}, `;
  const older = by.forwarded === undefined ? '' : `${by.forwarded}, `;
  const node = by.peerAddress.includes(':') ? `"[${by.peerAddress}]"` : by.peerAddress;
  const host = /[:[]/.test(by.authority) ? `"${by.authority}"` : by.authority;
  return (
    `X-Forwarded-For: ${chain}${by.peerAddress}\r\nX-Forwarded-Proto: ${proto}\r\n` +
    `X-Forwarded-Host: ${by.authority}\r\nX-Forwarded-Port: ${port}\r\n` +
    `Forwarded: ${older}for=${node};host=${host};proto=${proto}\r\n`
  );
}

function isForwarding(lower: string): boolean {
  const first = lower.charCodeAt(0);
  if (first !== 0x78 && first !== 0x66) return false;
  const name = lower.includes('_') ? lower.replaceAll('_', '-') : lower;
  return name === 'forwarded' || name.startsWith('x-forwarded-') || name === 'x-real-ip';
}

/** The Cookie value without ours and otherwise byte for byte; undefined: nothing is left. */
export function stripCookies(value: string): string | undefined {
  if (!/burrow_/i.test(value)) return value;
  let kept: string | undefined;
  for (const part of value.split(';')) {
    const equals = part.indexOf('=');
    const name = (equals === -1 ? part : part.slice(0, equals)).trim();
    if (OUR_COOKIE.test(name)) continue;
    kept = kept === undefined ? part.trimStart() : `${kept};${part}`;
  }
  return kept === undefined || kept.trim() === '' ? undefined : kept;
}

function replaceOrigin(value: string, from: string, to: string): string {
  const start = value.slice(0, from.length).toLowerCase();
  if (start !== from) return value;
  const next = value.charCodeAt(from.length);
  // The end, or `/`, `?`: `http://a.test:30` must not match `http://a.test:3000`.
  return Number.isNaN(next) || next === 0x2f || next === 0x3f
    ? to + value.slice(from.length)
    : value;
}

/** How an app's response is changed for one host of one workspace. Compared by identity. */
export interface ResponseRules {
  /** False for the control server: it sets our cookies. */
  readonly guardCookies: boolean;
  /** Lower case host without port: what cookies may be for. */
  readonly host: string;
  /** Pairs to set, over the app's own; of Vary, what the app's own lacks is added to it. */
  readonly set: readonly string[];
  /** Location and Access-Control-Allow-Origin that begin with `from` get `to` instead. */
  readonly origin: { readonly from: string; readonly to: string } | undefined;
}

/** Response fields as raw pairs, without framing other than Content-Length. */
export function responsePairs(
  headers: readonly string[],
  connection: readonly string[],
  rules: ResponseRules,
): string[] {
  const pairs: string[] = [];
  const set = rules.set.length === 0 ? undefined : new Set<string>();
  if (set !== undefined) {
    for (let i = 0; i < rules.set.length; i += 2) set.add((rules.set[i] as string).toLowerCase());
  }
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i] as string;
    let value = headers[i + 1] as string;
    const lower = name.toLowerCase();
    if (HOP_BY_HOP.has(lower)) continue;
    if (connection.length > 0 && connection.includes(lower) && !END_TO_END.has(lower)) continue;
    if (set?.has(lower) === true && lower !== 'vary') continue;
    if (rules.guardCookies && lower === 'set-cookie' && !maySet(value, rules.host)) continue;
    if (
      rules.origin !== undefined &&
      (lower === 'location' || lower === 'access-control-allow-origin')
    ) {
      value = replaceOrigin(value, rules.origin.from, rules.origin.to);
    }
    pairs.push(name, value);
  }
  for (let i = 0; i + 1 < rules.set.length; i += 2) {
    const name = rules.set[i] as string;
    if (name.toLowerCase() === 'vary') addVary(pairs, rules.set[i + 1] as string);
    else pairs.push(name, rules.set[i + 1] as string);
  }
  return pairs;
}

/** The app's own list stays as it is, and gets `field` at its end unless it names it, or all. */
function addVary(pairs: string[], field: string): void {
  let last = -1;
  for (let i = 0; i + 1 < pairs.length; i += 2) {
    if ((pairs[i] as string).toLowerCase() !== 'vary') continue;
    const named = (pairs[i + 1] as string).toLowerCase().split(/[\s,]+/);
    if (named.includes('*') || named.includes(field.toLowerCase())) return;
    last = i + 1;
  }
  if (last === -1) pairs.push('Vary', field);
  else pairs[last] = pairs[last] === '' ? field : `${pairs[last]}, ${field}`;
}

/**
 * A cookie with Domain reaches other hosts than its own, so another workspace.
 * Only Domain equal to the host passes; several Domain attributes: the last counts
 * (RFC 6265 section 5.2.3), so all must be equal.
 */
function maySet(cookie: string, host: string): boolean {
  if (!/domain/i.test(cookie)) return !namesOurs(cookie);
  for (const attribute of cookie.split(';').slice(1)) {
    const equals = attribute.indexOf('=');
    if (equals === -1 || attribute.slice(0, equals).trim().toLowerCase() !== 'domain') continue;
    const domain = attribute
      .slice(equals + 1)
      .trim()
      .toLowerCase()
      .replace(/^\./, '');
    if (domain !== '' && domain !== host) return false;
  }
  return !namesOurs(cookie);
}

/**
 * An app may not overwrite the cookie that signs its own users in. Browsers send a
 * cookie without a name (`=burrow_app=x`) back as its value alone: as ours.
 */
function namesOurs(cookie: string): boolean {
  return SETS_OURS.test(cookie);
}

export function writeLines(pairs: readonly string[]): string {
  let text = '';
  for (let i = 0; i + 1 < pairs.length; i += 2) text += `${pairs[i]}: ${pairs[i + 1]}\r\n`;
  return text;
}

/** Fields that mean something before a body, never behind it (RFC 9110 section 6.5.1). */
const NEVER_TRAILERS = new Set([
  ...HOP_BY_HOP,
  ...END_TO_END,
  'set-cookie',
  'content-encoding',
  'content-type',
  'content-range',
  'trailer',
  'location',
  'expect',
  'age',
  'cache-control',
  'date',
  'expires',
  'vary',
  'www-authenticate',
]);

export function keptTrailers(trailers: readonly string[]): string[] {
  const kept: string[] = [];
  for (let i = 0; i + 1 < trailers.length; i += 2) {
    const lower = (trailers[i] as string).toLowerCase();
    if (NEVER_TRAILERS.has(lower) || isForwarding(lower)) continue;
    kept.push(trailers[i] as string, trailers[i + 1] as string);
  }
  return kept;
}

/** The trailer section of a chunked body, with its closing empty line. */
export function writeTrailers(trailers: readonly string[]): string {
  return trailers.length === 0 ? '\r\n' : `${writeLines(keptTrailers(trailers))}\r\n`;
}
