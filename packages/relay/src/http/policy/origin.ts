import type { RequestHead } from '../gate-policy.ts';
import { isSafeMethod } from './request-kind.ts';

export type OriginVerdict =
  | {
      readonly ok: true;
      /** Named by the port's policy: CORS headers are due. */ readonly cors: string | undefined;
      readonly usedReferer?: boolean;
    }
  | { readonly ok: false; readonly reason: string };

export interface OriginRules {
  /** `scheme://authority` of the requested host. */
  readonly own: string;
  /** Other origins that the port's policy names, compared byte by byte. */
  readonly named: readonly string[];
  /** True for an origin whose pages may show this one in a frame: other ports of the same workspace. */
  readonly mayFrame: (origin: string) => boolean;
}

const HINT =
  'Programs that are no browser send “Burrow-Authorization: Bearer <personal access token>” instead of a cookie.';

/**
 * May a request that is signed in *by cookie* go on? Browsers add cookies on their
 * own, and another workspace's page is same-site with this one, so SameSite does not
 * hold it back: only who *started* the request counts.
 */
export function judgeOrigin(head: RequestHead, rules: OriginRules): OriginVerdict {
  const origin = head.get('origin');
  const site = head.get('sec-fetch-site');
  const unsafe = !isSafeMethod(head.method);

  if (origin === rules.own) return { ok: true, cors: undefined };
  if (origin !== undefined && rules.named.includes(origin)) return { ok: true, cors: origin };

  if (unsafe || head.upgrade !== undefined) {
    if (origin !== undefined) {
      return {
        ok: false,
        reason: `A page of another origin sent this ${head.upgrade === undefined ? head.method : head.upgrade} request with your cookie. The port’s CORS settings do not name that origin.`,
      };
    }
    // RFC 6455, 10.2: every browser names the origin of a WebSocket.
    if (head.upgrade === undefined && (site === 'same-origin' || site === 'none')) {
      return { ok: true, cors: undefined };
    }
    return {
      ok: false,
      reason: `This ${head.upgrade === undefined ? head.method : head.upgrade} request is signed in by a cookie but has no Origin, so nobody can tell which page sent it. ${HINT}`,
    };
  }

  // Safe methods. A top-level page shows itself to the person, not to the page that linked to it.
  if (head.get('sec-fetch-mode') === 'navigate' && head.get('sec-fetch-dest') === 'document') {
    return { ok: true, cors: undefined };
  }
  if (origin !== undefined) {
    return {
      ok: false,
      reason:
        'A page of another origin asked for this with your cookie. The port’s CORS settings do not name that origin.',
    };
  }
  // Browsers without fetch metadata (Safari before 16.4) cannot be judged; they still have SameSite=Lax.
  if (site === undefined || site === 'same-origin' || site === 'none') {
    return { ok: true, cors: undefined };
  }
  // Scripts, images and frames carry no Origin; a page can leave its Referer out, but never forge it.
  const from = originOf(head.get('referer'));
  if (from !== undefined) {
    if (rules.named.includes(from)) return { ok: true, cors: undefined, usedReferer: true };
    if (isFrame(head) && rules.mayFrame(from))
      return { ok: true, cors: undefined, usedReferer: true };
  }
  return {
    ok: false,
    reason:
      'A page of another origin tried to load this with your cookie. The port’s CORS settings do not name that origin.',
  };
}

function isFrame(head: RequestHead): boolean {
  const dest = head.get('sec-fetch-dest');
  return head.get('sec-fetch-mode') === 'navigate' && (dest === 'iframe' || dest === 'frame');
}

function originOf(url: string | undefined): string | undefined {
  if (url === undefined || !URL.canParse(url)) return undefined;
  const { origin } = new URL(url);
  return origin === 'null' ? undefined : origin;
}
