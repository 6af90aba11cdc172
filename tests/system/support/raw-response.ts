/**
 * An HTTP/1 response reader that hides nothing: interim responses, header lines
 * as sent, trailers, how the body ended, and when its first byte came. Slow and
 * strict, for tests; shares no code with the gateway.
 */
import { once } from 'node:events';
import type { Socket } from 'node:net';

export interface Head {
  readonly version: string;
  readonly status: number;
  readonly reason: string;
  /** `[name, value]` as on the wire (latin1), surrounding spaces of the value removed. */
  readonly headers: readonly (readonly [string, string])[];
}

export interface RawResponse extends Head {
  readonly interim: readonly Head[];
  readonly body: Buffer;
  readonly trailers: readonly (readonly [string, string])[];
  readonly framing: 'none' | 'length' | 'chunked' | 'close' | 'upgrade';
}

/** Reads bytes of a socket in order, bounded by 3 s each. */
export class ByteReader {
  readonly socket: Socket;
  #held = Buffer.alloc(0);
  #ended = false;
  #failed: Error | undefined;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (bytes: Buffer) => {
      this.#held = Buffer.concat([this.#held, bytes]);
      socket.emit('more');
    });
    socket.on('end', () => {
      this.#ended = true;
      socket.emit('more');
    });
    socket.on('error', (error) => {
      this.#failed = error;
      socket.emit('more');
    });
  }

  async #more(what: string): Promise<void> {
    if (this.#failed !== undefined) throw this.#failed;
    if (this.#ended) throw new Error(`the connection ended while waiting for ${what}`);
    const signal = AbortSignal.timeout(3_000);
    await once(this.socket, 'more', { signal }).catch(() => {
      throw new Error(`nothing came within 3 s while waiting for ${what}`);
    });
  }

  async line(what: string): Promise<string> {
    for (;;) {
      const end = this.#held.indexOf('\r\n');
      if (end >= 0) {
        const line = this.#held.toString('latin1', 0, end);
        this.#held = this.#held.subarray(end + 2);
        return line;
      }
      await this.#more(what);
    }
  }

  async exactly(bytes: number, what: string): Promise<Buffer> {
    while (this.#held.length < bytes) await this.#more(what);
    const taken = Buffer.from(this.#held.subarray(0, bytes));
    this.#held = this.#held.subarray(bytes);
    return taken;
  }

  /** Drops `bytes`, however many. */
  async skip(bytes: number, what: string): Promise<void> {
    for (let left = bytes; ;) {
      const drop = Math.min(left, this.#held.length);
      this.#held = this.#held.subarray(drop);
      left -= drop;
      if (left === 0) return;
      await this.#more(what);
    }
  }

  async rest(): Promise<Buffer> {
    while (!this.#ended) await this.#more('the end of the body');
    const taken = this.#held;
    this.#held = Buffer.alloc(0);
    return taken;
  }
}

async function readFields(reader: ByteReader): Promise<[string, string][]> {
  const fields: [string, string][] = [];
  for (;;) {
    const line = await reader.line('a header line');
    if (line === '') return fields;
    const colon = line.indexOf(':');
    fields.push([line.slice(0, colon), line.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, '')]);
  }
}

export async function readHead(reader: ByteReader): Promise<Head> {
  const line = await reader.line('a status line');
  const match = /^(HTTP\/1\.[01]) (\d{3})(?: (.*))?$/s.exec(line);
  if (match === null) throw new Error(`not a status line: ${JSON.stringify(line)}`);
  const [, version = '', status = '', reason = ''] = match;
  return { version, status: Number(status), reason, headers: await readFields(reader) };
}

export function valueOf(head: Head, name: string): string | undefined {
  return head.headers.find(([each]) => each.toLowerCase() === name)?.[1];
}

/** `onInterim` may write what it waited for (a body after 100 Continue). */
export async function readResponse(
  reader: ByteReader,
  method: string,
  onInterim: (head: Head) => void = () => {},
): Promise<RawResponse> {
  const interim: Head[] = [];
  let head = await readHead(reader);
  while (head.status < 200 && head.status !== 101) {
    interim.push(head);
    onInterim(head);
    head = await readHead(reader);
  }
  const whole = (
    framing: RawResponse['framing'],
    body: Buffer,
    trailers: [string, string][] = [],
  ) => ({
    ...head,
    interim,
    framing,
    body,
    trailers,
  });
  const empty = Buffer.alloc(0);
  if (head.status === 101) return whole('upgrade', empty);
  if (method === 'HEAD' || head.status === 204 || head.status === 304) return whole('none', empty);
  if (/\bchunked\b/i.test(valueOf(head, 'transfer-encoding') ?? '')) {
    const chunks: Buffer[] = [];
    for (;;) {
      const size = Number.parseInt(await reader.line('a chunk size'), 16);
      if (!Number.isInteger(size)) throw new Error('not a chunk size');
      if (size === 0) break;
      chunks.push(await reader.exactly(size, 'a chunk'));
      if ((await reader.line('the end of a chunk')) !== '') throw new Error('a chunk is too long');
    }
    return whole('chunked', Buffer.concat(chunks), await readFields(reader));
  }
  const length = valueOf(head, 'content-length');
  if (length !== undefined)
    return whole('length', await reader.exactly(Number(length), 'the body'));
  return whole('close', await reader.rest());
}
