/** The opening of a WebSocket with an app (RFC 6455 section 4), in the name of an HTTP/2 client, which has no key. */
import { createHash, randomBytes } from 'node:crypto';
import { lookup } from './characters.ts';
import type { ResponseHead } from './h1-response.ts';

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/** For `Sec-WebSocket-Key`. */
export function webSocketKey(): string {
  return randomBytes(16).toString('base64');
}

/** The app has read this key, and speaks WebSocket from here on. */
export function accepts(head: ResponseHead, key: string): boolean {
  const expected = createHash('sha1')
    .update(key + GUID)
    .digest('base64');
  return lookup(head.headers, 'sec-websocket-accept') === expected;
}
