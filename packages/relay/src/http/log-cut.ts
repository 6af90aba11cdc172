import type { HttpLog } from './gateway-deps.ts';

/** What a client does to itself needs no line each: closing a tab does it. */
const CLIENT_ENDED = 'client ended';

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
  if (reason !== CLIENT_ENDED) log.info({ ...of, reason }, 'a request is cut');
}
