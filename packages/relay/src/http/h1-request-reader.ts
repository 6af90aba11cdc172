/** Reads one request head after the other. Field lines that a connection repeats are parsed once. */
import { clientOfHead } from './client-of-head.ts';
import type { ConnectionInfo, Engine } from './engine.ts';
import { HeadError, findHeadEnd, resumeAt } from './h1-head.ts';
import type { KnownFields } from './h1-known-fields.ts';
import { parseRequestFields, parseRequestLine, type RequestLine } from './h1-request.ts';

export class H1RequestReader {
  readonly #engine: Engine;
  readonly #info: ConnectionInfo;
  #line: RequestLine | undefined;
  #known: KnownFields | undefined;
  /** Bytes of an incomplete head that were looked at. */
  #scanned = 0;

  constructor(engine: Engine, info: ConnectionInfo) {
    this.#engine = engine;
    this.#info = info;
  }

  /** A part of a head has come. */
  get begun(): boolean {
    return this.#scanned !== 0;
  }

  /** Of the head that was read last. */
  get line(): RequestLine {
    return this.#line as RequestLine;
  }

  get known(): KnownFields {
    return this.#known as KnownFields;
  }

  /**
   * Returns the bytes of the head that `buffer` begins with, or 0: more are needed, `buffer` has to
   * grow. Throws HeadError.
   */
  read(buffer: Buffer): number {
    const { limits } = this.#engine;
    // One empty line before a request is forgiven (RFC 9112 section 2.2).
    let start = 0;
    if (buffer[0] === 0x0d) {
      if (buffer.length === 1) return 0;
      if (buffer[1] === 0x0a) start = 2;
    }
    const end = findHeadEnd(buffer, start, Math.max(start, this.#scanned));
    if ((end === -1 ? buffer.length : end) - start > limits.headBytes) {
      throw new HeadError(431, `The request head is larger than ${limits.headBytes} bytes.`);
    }
    if (end === -1) {
      this.#scanned = Math.max(1, resumeAt(buffer, start));
      return 0;
    }
    this.#scanned = 0;
    if (end === start + 2) throw new HeadError(400, 'The request has no request line.');
    const text = buffer.toString('latin1', start, end - 2);
    const lineEnd = text.indexOf('\r\n');
    const line = parseRequestLine(text.slice(0, lineEnd));
    const { fields } = this.#lookUp(text.slice(lineEnd + 2), line.version);
    if (line.authority !== undefined && line.authority !== fields.authority) {
      throw new HeadError(400, 'The request target names another host than the Host field.');
    }
    this.#line = line;
    return end;
  }

  #lookUp(text: string, version: '1.0' | '1.1'): KnownFields {
    const before = this.#known;
    if (before !== undefined && before.text === text && before.version === version) return before;
    const { deps, limits } = this.#engine;
    const fields = parseRequestFields(text, version, limits);
    return (this.#known = {
      text,
      version,
      fields,
      client: clientOfHead(this.#info, fields.headers, deps.trusted),
      route: undefined,
      decidedFor: '',
      policyVersion: -1,
    });
  }
}
