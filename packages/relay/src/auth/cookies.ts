/**
 * Burrow's own cookies. All are host-only (no Domain), HttpOnly and
 * SameSite=Lax. Over https the prefixes `__Host-` and `__Secure-` keep other
 * hosts of the domain from planting them.
 */
export type CookieKind = 'session' | 'app' | 'nonce';

const NAMES: Readonly<Record<CookieKind, { plain: string; secure: string; path: string }>> = {
  session: { plain: 'burrow_session', secure: '__Host-burrow_session', path: '/' },
  app: { plain: 'burrow_app', secure: '__Host-burrow_app', path: '/' },
  // `__Host-` would demand Path=/, and then every request to the app would carry it.
  nonce: { plain: 'burrow_nonce', secure: '__Secure-burrow_nonce', path: '/.burrow/' },
};

/** Longest Cookie field (bytes) that is looked at; browsers stop long before. */
const LONGEST_FIELD = 64 * 1024;

/** How many cookies of one name are considered: other hosts may have planted some over plain http. */
const MOST_VALUES = 4;

export function cookieName(kind: CookieKind, secure: boolean): string {
  return secure ? NAMES[kind].secure : NAMES[kind].plain;
}

/** Values of every cookie of that name, in the order sent, at most 4. */
export function cookieValues(
  field: string | undefined,
  kind: CookieKind,
  secure: boolean,
): string[] {
  const values: string[] = [];
  if (field === undefined || field.length > LONGEST_FIELD) return values;
  const name = `${cookieName(kind, secure)}=`;
  if (!field.includes(name)) return values;
  for (const part of field.split(';')) {
    const pair = part.trim();
    if (pair.startsWith(name)) values.push(pair.slice(name.length));
    if (values.length === MOST_VALUES) break;
  }
  return values;
}

/** The value of a `Set-Cookie` field. `maxAgeMs` of 0 removes the cookie. */
export function setCookie(
  kind: CookieKind,
  value: string,
  options: { secure: boolean; maxAgeMs: number },
): string {
  const maxAge = Math.max(0, Math.floor(options.maxAgeMs / 1000));
  return (
    `${cookieName(kind, options.secure)}=${value}; Path=${NAMES[kind].path}; Max-Age=${maxAge}` +
    `; HttpOnly; SameSite=Lax${options.secure ? '; Secure' : ''}`
  );
}
