import { lookup } from './characters.ts';
import type { RequestHead } from './gate-policy.ts';

/** Process-wide: short, unique for as long as anybody greps a log for it. */
let counter = 0;
const prefix = Math.floor(Math.random() * 36 ** 4)
  .toString(36)
  .padStart(4, '0');

export function nextRequestId(): string {
  counter = (counter + 1) % Number.MAX_SAFE_INTEGER;
  return `${prefix}${counter.toString(36)}`;
}

/** The policy's view of a request. Made only when the policy is asked. */
export class PlainRequestHead implements RequestHead {
  readonly method: string;
  readonly target: string;
  readonly authority: string;
  readonly headers: readonly string[];
  readonly secure: boolean;
  readonly remoteAddress: string;
  readonly upgrade: string | undefined;
  readonly httpVersion: '1.0' | '1.1' | '2';
  readonly id: string;

  constructor(from: Omit<RequestHead, 'get'>) {
    this.method = from.method;
    this.target = from.target;
    this.authority = from.authority;
    this.headers = from.headers;
    this.secure = from.secure;
    this.remoteAddress = from.remoteAddress;
    this.upgrade = from.upgrade;
    this.httpVersion = from.httpVersion;
    this.id = from.id;
  }

  get(name: string): string | undefined {
    return lookup(this.headers, name);
  }
}
