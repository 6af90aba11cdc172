import type { OutgoingHttpHeaders } from 'node:http2';

/** Raw pairs as `node:http2` wants them; several lines of one name become an array. */
export function asHeaders(
  status: number | undefined,
  pairs: readonly string[],
): OutgoingHttpHeaders {
  const headers = Object.create(null) as OutgoingHttpHeaders;
  if (status !== undefined) headers[':status'] = status;
  for (let i = 0; i + 1 < pairs.length; i += 2) {
    const name = (pairs[i] as string).toLowerCase();
    const value = pairs[i + 1] as string;
    const before = headers[name];
    if (before === undefined) headers[name] = value;
    else if (Array.isArray(before)) before.push(value);
    else headers[name] = [String(before), value];
  }
  return headers;
}
