/** Exchanges whose one side waits in the middle until the other has got what was sent so far. */
import type { ClientHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { http2Fields, type Asking } from './exchange.ts';

export interface HeldAnswer {
  readonly name: string;
  readonly headers: readonly string[];
  /** Behind the head, at once; latin1. */
  readonly first: string;
  /** Only once the client has `first`. */
  readonly rest: string;
  /** What the client sees of both, without framing. */
  readonly seen: readonly [first: string, rest: string];
  readonly closes?: boolean;
}

const chunk = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n`;

export const HELD_ANSWERS: readonly HeldAnswer[] = [
  {
    name: 'a body of given length',
    headers: ['Content-Length: 11'],
    first: 'first',
    rest: 'second',
    seen: ['first', 'second'],
  },
  {
    name: 'a head without its body',
    headers: ['Content-Length: 6'],
    first: '',
    rest: 'second',
    seen: ['', 'second'],
  },
  {
    name: 'chunks',
    headers: ['Transfer-Encoding: chunked'],
    first: chunk('first'),
    rest: `${chunk('second')}0\r\n\r\n`,
    seen: ['first', 'second'],
  },
  {
    name: 'half a chunk',
    headers: ['Transfer-Encoding: chunked'],
    first: 'b\r\nfirst',
    rest: 'second\r\n0\r\n\r\n',
    seen: ['first', 'second'],
  },
  {
    name: 'server-sent events',
    headers: [
      'Content-Type: text/event-stream',
      'Cache-Control: no-cache',
      'Transfer-Encoding: chunked',
    ],
    first: chunk('data: 1\n\n'),
    rest: `${chunk('data: 2\n\n')}0\r\n\r\n`,
    seen: ['data: 1\n\n', 'data: 2\n\n'],
  },
  {
    name: 'a body that ends with the connection',
    headers: ['Connection: close'],
    first: 'first',
    rest: 'second',
    seen: ['first', 'second'],
    closes: true,
  },
];

export function firstPart(each: HeldAnswer): string {
  return `HTTP/1.1 200 OK\r\n${each.headers.join('\r\n')}\r\n\r\n${each.first}`;
}

/** What a client has received so far, framing of HTTP/1 included; each wait is bounded by 3 s. */
export class Received {
  #text = '';
  #head = false;
  readonly #source: Duplex;

  constructor(source: Duplex, already = '') {
    this.#source = source;
    this.#text = already;
    source.on('error', () => {});
    source.on('data', (bytes: Buffer) => {
      this.#text += bytes.toString('latin1');
      source.emit('more');
    });
    source.on('response', () => {
      this.#head = true;
      source.emit('more');
    });
  }

  /** Of the status line and its headers. */
  async head(): Promise<void> {
    await this.#until('the head', () => this.#head || this.#text.includes('\r\n\r\n'));
  }

  async part(text: string): Promise<void> {
    await this.#until(JSON.stringify(text), () => this.#text.includes(text));
  }

  has(text: string): boolean {
    return this.#text.includes(text);
  }

  async #until(what: string, check: () => boolean): Promise<void> {
    const source = this.#source;
    await new Promise<void>((resolve, reject) => {
      const bound = setTimeout(
        () => reject(new Error(`${what} did not come within 3 s, but ${this.#text}`)),
        3_000,
      );
      const look = (): void => {
        if (!check()) return;
        clearTimeout(bound);
        source.off('more', look);
        resolve();
      };
      source.on('more', look);
      look();
    });
  }
}

/** A request of which more may be written: over HTTP/1 as it is, over HTTP/2 as DATA. */
export function begin1(socket: Socket, headers: readonly string[], as: Asking): Duplex {
  const method = headers.length > 0 ? 'POST' : 'GET';
  const lines = [`${method} / HTTP/1.1`, `Host: ${as.authority}`, ...headers];
  socket.write(`${lines.join('\r\n')}\r\nBurrow-Authorization: Bearer ${as.token}\r\n\r\n`);
  return socket;
}

export function begin2(
  session: ClientHttp2Session,
  headers: readonly string[],
  as: Asking,
): Duplex {
  const method = headers.length > 0 ? 'POST' : 'GET';
  const fields = http2Fields({ name: '', method, headers, answer: '' }, as);
  return session.request(fields, { endStream: headers.length === 0 });
}
