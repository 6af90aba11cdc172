/** Character classes of HTTP (RFC 9110 section 5.6.2, RFC 9112 section 3). */

const TOKEN = new Uint8Array(256);
for (const char of "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") {
  TOKEN[char.charCodeAt(0)] = 1;
}

/** True when `text[start..end)` is a non-empty token. */
export function isToken(text: string, start: number, end: number): boolean {
  if (start >= end) return false;
  for (let i = start; i < end; i++) {
    if (TOKEN[text.charCodeAt(i)] !== 1) return false;
  }
  return true;
}

/**
 * Value of a hexadecimal digit, or -1. Used for chunk sizes.
 */
export function hexValue(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

/** Bytes that may stand in a field value: HTAB, visible, space, obs-text; never CR, LF, NUL, DEL. */
export function isFieldByte(byte: number): boolean {
  return byte >= 0x20 ? byte !== 0x7f : byte === 0x09;
}

/** `https://` host rules are the policy's; this only keeps bytes out that no host name or IP literal has. */
const AUTHORITY = /^(?:[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?\.?|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?$/;

export function isAuthority(lowercase: string): boolean {
  return lowercase.length <= 260 && AUTHORITY.test(lowercase);
}

/** A Content-Length as digits without leading zeros, up to 2^53 - 1 bytes; otherwise -1. */
export function parseLength(value: string): number {
  if (value.length === 0 || value.length > 16) return -1;
  if (value.length > 1 && value.charCodeAt(0) === 0x30) return -1;
  let n = 0;
  for (let i = 0; i < value.length; i++) {
    const digit = value.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) return -1;
    n = n * 10 + digit;
  }
  return Number.isSafeInteger(n) ? n : -1;
}

/** The comma-separated members of a list field, trimmed, in lower case, empty ones left out. */
export function listMembers(value: string): string[] {
  const lower = value.toLowerCase();
  if (!lower.includes(',')) {
    const single = lower.trim();
    return single === '' ? [] : [single];
  }
  return lower
    .split(',')
    .map((member) => member.trim())
    .filter((member) => member !== '');
}

/** Looks a field up in raw pairs; several lines are joined (`; ` for Cookie). */
export function lookup(headers: readonly string[], name: string): string | undefined {
  const wanted = name.toLowerCase();
  let found: string | undefined;
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const field = headers[i] as string;
    if (field.length !== wanted.length || field.toLowerCase() !== wanted) continue;
    const value = headers[i + 1] as string;
    found = found === undefined ? value : found + (wanted === 'cookie' ? '; ' : ', ') + value;
  }
  return found;
}
