import { hash, randomBytes, timingSafeEqual } from 'node:crypto';

/** Starts every personal access token, so that leaks can be recognised by scanners. */
export const ACCESS_TOKEN_PREFIX = 'burrow_pat_';

const SECRET = /^[A-Za-z0-9_-]{43}$/;

/** 256 random bits as 43 characters of base64url. */
export function newSecret(): string {
  return randomBytes(32).toString('base64url');
}

/** SHA-256 as base64url: what is stored of a secret. No salt is needed: the secret has 256 bits. */
export function hashSecret(secret: string): string {
  return hash('sha256', secret, 'base64url');
}

/** Has the form of `newSecret`. Checked before anything is looked up. */
export function isSecret(text: string): boolean {
  return SECRET.test(text);
}

export function isAccessToken(text: string): boolean {
  return text.startsWith(ACCESS_TOKEN_PREFIX) && isSecret(text.slice(ACCESS_TOKEN_PREFIX.length));
}

/** Compares in constant time; texts of different lengths differ. */
export function sameText(a: string, b: string): boolean {
  const left = Buffer.from(a);
  const right = Buffer.from(b);
  return left.length === right.length && timingSafeEqual(left, right);
}
