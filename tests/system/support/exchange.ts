/** One exchange of a conformance case, over HTTP/1 (a socket) or HTTP/2 (a session). */
import type { ClientHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';
import type { Case } from './conformance-cases.ts';
import { ByteReader, readResponse, type Head, type RawResponse } from './raw-response.ts';

export interface Asking {
  readonly authority: string;
  /** Of the administrator; it must not reach the app. */
  readonly token: string;
}

export async function exchange1(socket: Socket, each: Case, as: Asking): Promise<RawResponse> {
  const method = each.method ?? 'GET';
  try {
    const lines = [
      `${method} ${each.target ?? '/'} HTTP/1.1`,
      `Host: ${as.authority}`,
      ...(each.headers ?? []),
      `Burrow-Authorization: Bearer ${as.token}`,
    ];
    socket.write(`${lines.join('\r\n')}\r\n\r\n${each.body ?? ''}`, 'latin1');
    return await readResponse(new ByteReader(socket), method, (head) => {
      if (head.status === 100) socket.write(each.bodyAfterContinue ?? '', 'latin1');
    });
  } finally {
    socket.destroy();
  }
}

/** HTTP/2 has no reason phrase, and no framing that a test could see. */
export interface Http2Response {
  readonly status: number;
  readonly headers: Head['headers'];
  readonly interim: readonly Pick<Head, 'status' | 'headers'>[];
  readonly body: Buffer;
  readonly trailers: Head['headers'];
}

/** Pseudo fields first, then the others as the case has them, in lower case. */
export function http2Fields(each: Case, as: Asking): string[] {
  const fields = [':method', each.method ?? 'GET', ':path', each.target ?? '/'];
  fields.push(':scheme', 'https', ':authority', as.authority);
  for (const line of each.headers ?? []) {
    const colon = line.indexOf(':');
    const name = line.slice(0, colon).toLowerCase();
    if (name !== 'transfer-encoding') fields.push(name, line.slice(colon + 1).trim());
  }
  return [...fields, 'burrow-authorization', `Bearer ${as.token}`];
}

export async function exchange2(
  session: ClientHttp2Session,
  each: Case,
  as: Asking,
): Promise<Http2Response> {
  const length = /^content-length: *(\d+)$/im.exec((each.headers ?? []).join('\n'))?.[1];
  const whole = Buffer.from(withoutChunks(each), 'latin1');
  const awaits = each.bodyAfterContinue !== undefined;
  const stream = session.request(http2Fields(each, as), {
    endStream: whole.length === 0 && !awaits,
  });
  try {
    const interim: Pick<Head, 'status' | 'headers'>[] = [];
    const chunks: Buffer[] = [];
    let head: Pick<Head, 'status' | 'headers'> | undefined;
    let trailers: Head['headers'] = [];
    stream.on('headers', (_headers, _flags, raw: string[]) => interim.push(headOf(raw)));
    stream.on('continue', () => stream.end(each.bodyAfterContinue, 'latin1'));
    stream.on('response', (_headers, _flags, raw: string[]) => (head = headOf(raw)));
    stream.on('trailers', (_headers, _flags, raw: string[]) => (trailers = headOf(raw).headers));
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    // Part of what was announced stays out, as over HTTP/1.
    if (length !== undefined && whole.length < Number(length)) stream.write(whole);
    else if (whole.length > 0) stream.end(whole);
    await new Promise<void>((resolve, reject) => {
      stream.once('end', resolve).once('error', reject);
      stream.setTimeout(3_000, () => reject(new Error('nothing came within 3 s')));
    });
    if (head === undefined) throw new Error('the stream ended without an answer');
    return { ...head, interim, body: Buffer.concat(chunks), trailers };
  } finally {
    stream.on('error', () => {});
    stream.close();
  }
}

function headOf(raw: readonly string[]): Pick<Head, 'status' | 'headers'> {
  const headers: [string, string][] = [];
  let status = 0;
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] ?? '';
    if (name === ':status') status = Number(raw[i + 1]);
    else headers.push([name, raw[i + 1] ?? '']);
  }
  return { status, headers };
}

/** The body of a case that is written in chunks for HTTP/1, without a trailer. */
function withoutChunks(each: Case): string {
  const body = each.body ?? '';
  if (!/^transfer-encoding: *chunked$/im.test((each.headers ?? []).join('\n'))) return body;
  let data = '';
  for (let at = 0; ;) {
    const end = body.indexOf('\r\n', at);
    const size = Number.parseInt(body.slice(at, end), 16);
    if (size === 0) return data;
    data += body.slice(end + 2, end + 2 + size);
    at = end + 2 + size + 2;
  }
}
