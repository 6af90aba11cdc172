/** The head of an HTTP/1 request: start line, framing, Host (RFC 9112 sections 3, 6, 7). */
import { isAuthority, isToken, listMembers, parseLength } from './characters.ts';
import { HeadError, parseFields } from './h1-head.ts';
import type { HttpLimits } from './limits.ts';

export interface RequestLine {
  readonly method: string;
  /** Origin-form or `*`; an absolute-form target keeps its path and query bytes. */
  readonly target: string;
  /** Of an absolute-form target, in lower case; it must equal Host. */
  readonly authority: string | undefined;
  readonly version: '1.0' | '1.1';
}

/** What the field lines of a request say. Immutable, so byte-identical lines share one. */
export interface RequestFields {
  readonly headers: readonly string[];
  /** Lower case; empty only for HTTP/1.0 without Host. */
  readonly authority: string;
  /** Bytes of the body; -1: chunked; 0 also when there is none. */
  readonly length: number;
  readonly hasLength: boolean;
  /** `Connection: close` / `keep-alive`. */
  readonly close: boolean;
  readonly keepAlive: boolean;
  /** Names that Connection lists, in lower case. */
  readonly connection: readonly string[];
  /** Protocol asked for, lower case, when Connection lists `upgrade`. */
  readonly upgrade: string | undefined;
  readonly expectContinue: boolean;
}

/** `line` has no CRLF. */
export function parseRequestLine(line: string): RequestLine {
  const space = line.indexOf(' ');
  const last = line.lastIndexOf(' ');
  if (space === -1 || last === space) throw new HeadError(400, 'The request line is incomplete.');
  if (space > 32 || !isToken(line, 0, space)) {
    throw new HeadError(400, 'The request method is not a token.');
  }
  const method = line.slice(0, space);
  const versionText = line.slice(last + 1);
  if (versionText !== 'HTTP/1.1' && versionText !== 'HTTP/1.0') {
    throw new HeadError(
      /^HTTP\/[0-9]\.[0-9]$/.test(versionText) ? 505 : 400,
      'The request names no HTTP version that is served here (HTTP/1.1, HTTP/1.0).',
    );
  }
  const version = versionText === 'HTTP/1.1' ? '1.1' : '1.0';
  for (let i = space + 1; i < last; i++) {
    const code = line.charCodeAt(i);
    if (code <= 0x20 || code === 0x23) {
      throw new HeadError(400, 'The request target holds a character that no target may hold.');
    }
  }
  const raw = line.slice(space + 1, last);
  if (method === 'CONNECT') throw new HeadError(405, 'CONNECT is not served here.');
  if (raw.charCodeAt(0) === 0x2f) return { method, target: raw, authority: undefined, version };
  if (raw === '*') {
    if (method === 'OPTIONS') return { method, target: raw, authority: undefined, version };
    throw new HeadError(400, 'Only OPTIONS may have the target *.');
  }
  const match = /^https?:\/\/([^/?]+)(.*)$/is.exec(raw);
  if (match === null) throw new HeadError(400, 'The request target is no path.');
  const rest = match[2] ?? '';
  const target =
    rest === '' ? (method === 'OPTIONS' ? '*' : '/') : rest[0] === '/' ? rest : `/${rest}`;
  return { method, target, authority: (match[1] as string).toLowerCase(), version };
}

/** `text` holds the field lines, each with its CRLF. */
export function parseRequestFields(
  text: string,
  version: '1.0' | '1.1',
  limits: HttpLimits,
): RequestFields {
  const headers = parseFields(text, 400, limits);
  let host: string | undefined;
  let length = 0;
  let hasLength = false;
  let coding: string | undefined;
  let connection: readonly string[] = NONE;
  let upgrade: string | undefined;
  let expectContinue = false;
  for (let i = 0; i < headers.length; i += 2) {
    const value = headers[i + 1] as string;
    switch ((headers[i] as string).toLowerCase()) {
      case 'host':
        if (host !== undefined) throw new HeadError(400, 'The request has several Host fields.');
        host = value.toLowerCase();
        break;
      case 'content-length':
        if (hasLength) throw new HeadError(400, 'The request has several Content-Length fields.');
        length = parseLength(value);
        if (length < 0) throw new HeadError(400, 'Content-Length is not a number of bytes.');
        hasLength = true;
        break;
      case 'transfer-encoding':
        if (coding !== undefined) {
          throw new HeadError(400, 'The request has several Transfer-Encoding fields.');
        }
        coding = value.toLowerCase();
        break;
      case 'connection':
        connection =
          connection.length === 0 ? listMembers(value) : [...connection, ...listMembers(value)];
        break;
      case 'upgrade':
        upgrade =
          upgrade === undefined ? value.toLowerCase() : `${upgrade}, ${value.toLowerCase()}`;
        break;
      case 'expect':
        expectContinue ||= value.toLowerCase() === '100-continue';
        break;
      default:
    }
  }
  if (host === undefined) {
    if (version === '1.1') throw new HeadError(400, 'The request has no Host field.');
    host = '';
  } else if (!isAuthority(host)) {
    throw new HeadError(400, 'The Host field is not a host name with an optional port.');
  }
  if (coding !== undefined) {
    if (hasLength) {
      throw new HeadError(400, 'The request has both Content-Length and Transfer-Encoding.');
    }
    if (version === '1.0') throw new HeadError(400, 'HTTP/1.0 knows no Transfer-Encoding.');
    if (coding !== 'chunked') {
      throw new HeadError(
        /(^|[\s,])chunked([\s,]|$)/.test(coding) ? 400 : 501,
        'The only transfer coding served here is chunked.',
      );
    }
    length = -1;
  }
  if (
    upgrade !== undefined &&
    (version === '1.0' || !connection.includes('upgrade') || upgrade === '')
  ) {
    upgrade = undefined;
  }
  return {
    headers,
    authority: host,
    length,
    hasLength,
    close: connection.includes('close'),
    keepAlive: connection.includes('keep-alive'),
    connection,
    upgrade,
    expectContinue,
  };
}

const NONE: readonly string[] = Object.freeze([]);
