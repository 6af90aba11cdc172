import type { IncomingHttpHeaders } from 'node:http2';

/** Two names, two runs, a challenge, a signature: under 1 KiB. */
const LONGEST = 2_048;

/** The token of `authorization: Bearer …`; undefined: there is none that is worth a look. */
export function peerToken(headers: IncomingHttpHeaders): string | undefined {
  const field = headers.authorization;
  if (field === undefined || field.length > LONGEST) return undefined;
  return /^Bearer ([\w.-]+)$/i.exec(field)?.[1];
}
