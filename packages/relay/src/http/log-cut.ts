import type { HttpLog } from './gateway-deps.ts';

/** What a client does to itself needs no line each: closing a tab does it. The other has been told (`logLost`). */
const NEEDS_NO_LINE: ReadonlySet<string> = new Set(['client ended', 'access was taken away']);

/** An answer or an upgraded connection is cut where HTTP has no words for the reason: the log has them. */
export function logCut(
  log: HttpLog,
  of: {
    readonly request: string;
    readonly host: string | undefined;
    readonly channel: string | undefined;
  },
  reason: string,
): void {
  if (!NEEDS_NO_LINE.has(reason)) log.info({ ...of, reason }, 'a request is cut');
}
