/** Longest credential that is looked at, in bytes. */
const LONGEST = 512;

/** The token of `Bearer <token>` (RFC 6750; the scheme's case does not matter). */
export function bearerToken(field: string | undefined): string | undefined {
  if (field === undefined || field.length > LONGEST) return undefined;
  return /^bearer +([^\s,]+) *$/i.exec(field)?.[1];
}
