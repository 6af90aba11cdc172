/** Response heads as an HTTP/1 client gets them. */
import type { ResponseBody } from './exchange.ts';
import type { LocalResponse } from './gate-policy.ts';
import type { ResponseHead } from './h1-response.ts';
import { responsePairs, writeLines, type ResponseRules } from './headers.ts';
import { STATUS_CODES } from 'node:http';
import type { Bucket } from './upstream-pool.ts';

/** How the body is framed towards the client. */
export type OutFraming = 'none' | 'length' | 'chunked' | 'close';

export interface OutConnection {
  readonly framing: OutFraming;
  readonly close: boolean;
  /** An HTTP/1.0 client is told that the connection stays. */
  readonly sayKeepAlive: boolean;
}

/**
 * The head with its empty line. Byte-identical response heads of one bucket,
 * for the same host and kind of connection, are serialised once.
 */
export function responseHeadText(
  head: ResponseHead,
  body: ResponseBody,
  out: OutConnection,
  bucket: Bucket,
  rules: ResponseRules,
): string {
  // `framing` for HEAD and 304 says what a GET would have got.
  const chunked = out.framing === 'chunked' || (body === 'none' && head.framing === 'chunked');
  const variant = (chunked ? 1 : 0) | (out.close ? 2 : 0) | (out.sayKeepAlive ? 4 : 0);
  if (bucket.outHead !== head || bucket.outRules !== rules) {
    bucket.outHead = head;
    bucket.outRules = rules;
    bucket.outTexts.fill(undefined);
  }
  const known = bucket.outTexts[variant];
  if (known !== undefined) return known;
  let text = statusLine(head.status, head.reason);
  text += writeLines(responsePairs(head.headers, head.connection, rules));
  if (chunked && !out.sayKeepAlive) text += 'Transfer-Encoding: chunked\r\n';
  if (head.status === 426) text += upgradeLines(head, out.close);
  else if (out.close) text += 'Connection: close\r\n';
  else if (out.sayKeepAlive) text += 'Connection: keep-alive\r\n';
  text += '\r\n';
  bucket.outTexts[variant] = text;
  return text;
}

/** 1xx and 101: no framing, and for 101 the protocol. */
export function interimHeadText(head: ResponseHead, rules: ResponseRules): string {
  let text = statusLine(head.status, head.reason);
  text += writeLines(responsePairs(head.headers, head.connection, rules));
  if (head.status === 101) text += upgradeLines(head, false);
  return `${text}\r\n`;
}

/** 426 must name the protocol (RFC 9110 section 15.5.22), 101 the one now spoken. */
function upgradeLines(head: ResponseHead, close: boolean): string {
  let lines = `Connection: ${close ? 'close, ' : ''}Upgrade\r\n`;
  for (let i = 0; i + 1 < head.headers.length; i += 2) {
    if ((head.headers[i] as string).toLowerCase() === 'upgrade') {
      lines += `Upgrade: ${head.headers[i + 1]}\r\n`;
    }
  }
  return lines;
}

/** A complete answer of our own. */
export function localResponseBytes(
  response: LocalResponse,
  options: { close: boolean; keepAlive10: boolean; head: boolean },
): Buffer {
  const body =
    typeof response.body === 'string' ? Buffer.from(response.body) : Buffer.from(response.body);
  let text = statusLine(response.status, STATUS_CODES[response.status] ?? '');
  text += writeLines(response.headers);
  text += `Date: ${new Date().toUTCString()}\r\n`;
  const none = response.status === 204 || response.status === 304 || response.status < 200;
  if (!none) text += `Content-Length: ${body.length}\r\n`;
  if (options.close) text += 'Connection: close\r\n';
  else if (options.keepAlive10) text += 'Connection: keep-alive\r\n';
  const head = Buffer.from(`${text}\r\n`, 'latin1');
  return options.head || none ? head : Buffer.concat([head, body]);
}

function statusLine(status: number, reason: string): string {
  return `HTTP/1.1 ${status} ${reason}\r\n`;
}
