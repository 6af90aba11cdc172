import { hash, randomBytes } from 'node:crypto';

const PREFIX = 'burrow_agt_';
const FORM = /^burrow_agt_[A-Za-z0-9_-]{43}$/;

/** 256 random bits behind a prefix that scanners of leaked secrets can recognise. */
export function newAgentToken(): string {
  return PREFIX + randomBytes(32).toString('base64url');
}

export function isAgentToken(text: string): boolean {
  return FORM.test(text);
}

/** What the database keeps. A random 256-bit secret needs neither salt nor a slow hash. */
export function hashAgentToken(token: string): string {
  return hash('sha256', token, 'hex');
}
