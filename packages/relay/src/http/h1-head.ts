/**
 * HTTP/1 heads as bytes and lines (RFC 9112 sections 2 and 5), shared by
 * requests and responses. Strict: only CRLF ends a line, nothing is folded,
 * no byte is repaired.
 */
import { isToken } from './characters.ts';
import type { HttpLimits } from './limits.ts';

/** A head that is refused; `status` is what a client is told about its request. */
export class HeadError extends Error {
  override readonly name = 'HeadError';
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/**
 * Finds the end of a head (the index after the empty line), or -1 when more
 * bytes are needed. `from` is where an earlier call on the same, shorter buffer
 * left off. Throws HeadError at the first byte that no head may hold, so a bad
 * head is refused at once and not at its timeout.
 */
export function findHeadEnd(buffer: Buffer, start: number, from: number): number {
  const length = buffer.length;
  for (let i = from; i < length; i++) {
    const byte = buffer[i] as number;
    if (byte >= 0x20) {
      if (byte === 0x7f) throw new HeadError(400, 'The head holds a DEL byte.');
      continue;
    }
    if (byte === 0x09) continue;
    if (byte !== 0x0d) {
      if (byte === 0x0a) throw new HeadError(400, 'A line of the head ends in LF without CR.');
      throw new HeadError(400, 'The head holds a control byte.');
    }
    if (i + 1 >= length) return -1;
    if (buffer[i + 1] !== 0x0a) throw new HeadError(400, 'The head holds a CR without LF.');
    if (i === start || (buffer[i - 1] === 0x0a && i - 2 >= start)) return i + 2;
    i++;
  }
  return -1;
}

/** Where `findHeadEnd` may go on after -1: the last bytes are looked at again. */
export function resumeAt(buffer: Buffer, start: number): number {
  return buffer.length > start && buffer[buffer.length - 1] === 0x0d
    ? buffer.length - 1
    : buffer.length;
}

/**
 * Splits field lines (each ended by CRLF, no empty line at the end) into raw
 * pairs. `what` names the message in errors. Bytes were checked by `findHeadEnd`.
 */
export function parseFields(text: string, status: number, limits: HttpLimits): string[] {
  const fields: string[] = [];
  let position = 0;
  while (position < text.length) {
    const end = text.indexOf('\r\n', position);
    const colon = text.indexOf(':', position);
    if (end === -1) throw new HeadError(status, 'A header line has no end.');
    if (colon === -1 || colon > end) {
      throw new HeadError(status, 'A header line has no colon.');
    }
    if (!isToken(text, position, colon)) {
      const first = text.charCodeAt(position);
      throw new HeadError(
        status,
        first === 0x20 || first === 0x09
          ? 'A header line is folded.'
          : 'A header name holds a character that no name may hold.',
      );
    }
    let from = colon + 1;
    let to = end;
    while (from < to && isBlank(text.charCodeAt(from))) from++;
    while (to > from && isBlank(text.charCodeAt(to - 1))) to--;
    fields.push(text.slice(position, colon), text.slice(from, to));
    if (fields.length > limits.fields * 2) {
      throw new HeadError(
        status === 400 ? 431 : status,
        `More than ${limits.fields} header fields.`,
      );
    }
    position = end + 2;
  }
  return fields;
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}
