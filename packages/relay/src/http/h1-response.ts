/** The head of an HTTP/1 response (RFC 9112 sections 4 and 6.3). */
import { listMembers, parseLength } from './characters.ts';
import { HeadError, parseFields } from './h1-head.ts';
import type { HttpLimits } from './limits.ts';

export type BodyFraming = 'length' | 'chunked' | 'close';

/** Immutable, so byte-identical heads share one. */
export interface ResponseHead {
  readonly status: number;
  readonly reason: string;
  /** Raw pairs as the app sent them. */
  readonly headers: readonly string[];
  /** What the fields say; method and status may still mean "no body". */
  readonly framing: BodyFraming;
  /** With framing `length`. */
  readonly length: number;
  /** The app keeps the connection open afterwards. */
  readonly keepAlive: boolean;
  readonly connection: readonly string[];
}

/** `text` is a whole head without its empty line, each line with CRLF. Throws HeadError 502. */
export function parseResponseHead(text: string, limits: HttpLimits): ResponseHead {
  const end = text.indexOf('\r\n');
  const match = /^HTTP\/1\.([01]) ([1-9][0-9][0-9])(?: ([^\r\n]*))?$/.exec(text.slice(0, end));
  if (match === null) throw new HeadError(502, 'The app sent no HTTP/1 status line.');
  const headers = parseFields(text.slice(end + 2), 502, limits);
  const status = Number(match[2]);
  let length = -1;
  let coding: string | undefined;
  let connection: readonly string[] = NONE;
  for (let i = 0; i < headers.length; i += 2) {
    const value = headers[i + 1] as string;
    switch ((headers[i] as string).toLowerCase()) {
      case 'content-length': {
        if (length !== -1) throw new HeadError(502, 'The app sent several Content-Length fields.');
        length = parseLength(value);
        if (length < 0)
          throw new HeadError(502, 'The app sent a Content-Length that is no number.');
        break;
      }
      case 'transfer-encoding':
        coding = coding === undefined ? value.toLowerCase() : `${coding}, ${value.toLowerCase()}`;
        break;
      case 'connection':
        connection =
          connection.length === 0 ? listMembers(value) : [...connection, ...listMembers(value)];
        break;
      default:
    }
  }
  if (coding !== undefined) {
    if (coding !== 'chunked') {
      throw new HeadError(502, 'The app used a transfer coding other than chunked.');
    }
    if (length !== -1) {
      throw new HeadError(502, 'The app sent both Content-Length and Transfer-Encoding.');
    }
    if (match[1] === '0') throw new HeadError(502, 'The app sent Transfer-Encoding with HTTP/1.0.');
  }
  const close = connection.includes('close');
  return {
    status,
    reason: match[3] ?? '',
    headers,
    framing: coding !== undefined ? 'chunked' : length === -1 ? 'close' : 'length',
    length: Math.max(0, length),
    keepAlive: !close && (match[1] === '1' || connection.includes('keep-alive')),
    connection,
  };
}

const NONE: readonly string[] = Object.freeze([]);
