/**
 * Burrow's own cookies. All are host-only (no Domain), HttpOnly and
 * SameSite=Lax. Over https the prefix `__Host-` keeps other hosts of the domain from
 * planting them: `__Secure-` would not, a sibling may set it with a Domain.
 */
export type CookieKind = 'session' | 'app' | 'nonce';

interface Form {
  readonly name: string;
  readonly path: string;
}

const FORMS: Readonly<Record<CookieKind, { plain: Form; secure: Form }>> = {
  session: bothAtRoot('burrow_session'),
  app: bothAtRoot('burrow_app'),
  nonce: {
    plain: { name: 'burrow_nonce', path: '/.burrow/' },
    // `__Host-` demands Path=/. The gateway keeps it from the app, as all of them.
    secure: { name: '__Host-burrow_nonce', path: '/' },
  },
};

function bothAtRoot(name: string): { plain: Form; secure: Form } {
  return { plain: { name, path: '/' }, secure: { name: `__Host-${name}`, path: '/' } };
}

/** Longest Cookie field (bytes) that is looked at; browsers stop long before. */
const LONGEST_FIELD = 64 * 1024;

/** How many cookies of one name are considered: other hosts may have planted some over plain http. */
const MOST_VALUES = 4;

function formOf(kind: CookieKind, secure: boolean): Form {
  return secure ? FORMS[kind].secure : FORMS[kind].plain;
}

export function cookieName(kind: CookieKind, secure: boolean): string {
  return formOf(kind, secure).name;
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
  const { name, path } = formOf(kind, options.secure);
  return (
    `${name}=${value}; Path=${path}; Max-Age=${maxAge}` +
    `; HttpOnly; SameSite=Lax${options.secure ? '; Secure' : ''}`
  );
}
