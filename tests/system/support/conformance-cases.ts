/** Awkward exchanges: what a client sends, and the exact bytes an upstream answers. */
import type { Socket } from 'node:net';
import type { SeenRequest } from './raw-upstream.ts';

export interface Case {
  readonly name: string;
  readonly method?: string;
  /** Latin1, as on the wire. Default `/`. */
  readonly target?: string;
  /** Whole lines, without `Host`. */
  readonly headers?: readonly string[];
  /** Sent right behind the head, latin1. */
  readonly body?: string;
  /** Sent only once a 100 has come. */
  readonly bodyAfterContinue?: string;
  /** Latin1 bytes; or does its own writing. */
  readonly answer: string | ((socket: Socket, request: SeenRequest, rest: Buffer) => void);
  /** It is about what HTTP/2 says in another way. */
  readonly http1Only?: boolean;
  /** Ends the connection after the answer. */
  readonly closes?: boolean;
}

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

/** Collects `bytes` of body, then answers with what it got. */
function answerWithBody(bytes: number): Case['answer'] {
  return (socket, _request, rest) => {
    let got = rest;
    const check = (): void => {
      if (got.length < bytes) return;
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${got.length}\r\n\r\n`);
      socket.write(got);
    };
    socket.on('data', (more: Buffer) => {
      got = Buffer.concat([got, more]);
      check();
    });
    check();
  };
}

/** Un-chunks nothing: waits for the end of a chunked body and its trailers, and answers with their text. */
function answerWithChunks(until: RegExp): Case['answer'] {
  return (socket, _request, rest) => {
    let got = rest.toString('latin1');
    const check = (): void => {
      if (!until.test(got)) return;
      // Chunk boundaries may move on the way: only the joined content counts.
      const text = got.replace(/(^|\r\n)[0-9a-f]+[^\r]*\r\n/gi, '');
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${text.length}\r\n\r\n${text}`, 'latin1');
    };
    socket.on('data', (more: Buffer) => {
      got += more.toString('latin1');
      check();
    });
    check();
  };
}

const allBytes = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte)).join('');

const responses: readonly Case[] = [
  { name: 'a body of given length', answer: OK },
  {
    name: 'every byte value in a body',
    answer: `HTTP/1.1 200 OK\r\nContent-Length: 256\r\n\r\n${allBytes}`,
  },
  {
    name: 'header order, case, duplicates, empty values and spaces',
    answer:
      'HTTP/1.1 200 OK\r\nx-b: 1\r\nX-A:2\r\nX-b:   3  \r\nSET-COOKIE: a=1\r\nset-cookie: b=2; Path=/\r\n' +
      'X-Empty:\r\nX-Latin: caf\xe9\r\nContent-Length: 0\r\nx-last: z\r\n\r\n',
  },
  {
    name: 'chunks, with extensions',
    answer:
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n1\r\n \r\n5\r\nworld\r\n0\r\n\r\n',
  },
  {
    name: 'trailers',
    headers: ['TE: trailers'],
    answer:
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum, x-two\r\n\r\n' +
      '4\r\nbody\r\n0\r\nX-Sum: abc\r\nx-two: 2\r\n\r\n',
  },
  {
    name: 'an empty chunked body',
    answer: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  },
  { name: '204', answer: 'HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n' },
  {
    name: '205 with an empty body',
    answer: 'HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n',
  },
  {
    name: '304 with the length of what it does not send',
    answer: 'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\nContent-Length: 1234\r\n\r\n',
  },
  {
    name: 'HEAD with a length',
    method: 'HEAD',
    answer: 'HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n',
  },
  {
    name: 'HEAD of a chunked resource',
    method: 'HEAD',
    answer: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n',
  },
  {
    name: '103 Early Hints, twice, before the answer',
    answer:
      'HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n' +
      `HTTP/1.1 103 Early Hints\r\nLink: </b.js>; rel=preload\r\nlink: </c>\r\n\r\n${OK}`,
  },
  { name: '102 Processing', answer: `HTTP/1.1 102 Processing\r\n\r\n${OK}` },
  {
    name: 'a reason phrase of its own',
    answer: 'HTTP/1.1 299 Tr\xe8s bien!\r\nContent-Length: 0\r\n\r\n',
  },
  { name: 'an empty reason phrase', answer: 'HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n' },
  { name: 'a server error', answer: 'HTTP/1.1 500 Oh no\r\nContent-Length: 5\r\n\r\nsorry' },
  {
    name: 'a redirect, untouched',
    answer: 'HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/x?y#z\r\nContent-Length: 0\r\n\r\n',
  },
  {
    name: 'the app’s own 401',
    headers: ['Authorization: Basic YTpi'],
    answer:
      'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm="app"\r\nContent-Length: 0\r\n\r\n',
  },
  {
    name: 'a body that ends with the connection',
    answer: 'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/plain\r\n\r\nuntil the end',
    closes: true,
  },
  {
    name: 'HTTP/1.0, ending with the connection',
    answer: 'HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nold',
    closes: true,
  },
  {
    name: 'HTTP/1.0 with a length',
    answer: 'HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nold',
    closes: true,
  },
  {
    name: 'a header of 14 KB',
    answer: `HTTP/1.1 200 OK\r\nX-Big: ${'b'.repeat(14_000)}\r\nContent-Length: 0\r\n\r\n`,
  },
  {
    name: 'one hundred headers',
    answer: `HTTP/1.1 200 OK\r\n${Array.from({ length: 100 }, (_, i) => `X-${i}: ${i}\r\n`).join('')}Content-Length: 0\r\n\r\n`,
  },
  {
    name: 'hop-by-hop fields that Connection names',
    answer:
      'HTTP/1.1 200 OK\r\nConnection: X-Hop\r\nX-Hop: here only\r\nX-End: both\r\nContent-Length: 0\r\n\r\n',
  },
  { name: 'a head that arrives byte by byte', answer: (socket) => void dribble(socket, OK) },
];

async function dribble(socket: Socket, text: string): Promise<void> {
  for (const byte of text) {
    socket.write(byte, 'latin1');
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const targets: readonly Case[] = [
  '/a%2Fb;c=1/%2e%2e/x?',
  '/?',
  '//double//slash',
  '/a/../b/./c',
  '/?a=b&a=c&&=;x',
  '/%E2%82%AC/%zz/%',
  "/~!$&'()*+,;=:@-._",
  '/?q={}|\\^`[]"<>',
  '/caf\xc3\xa9?n=\xe9',
  `/${'long/'.repeat(800)}`,
].map((target) => ({ name: `target ${JSON.stringify(target.slice(0, 30))}`, target, answer: OK }));

const requests: readonly Case[] = [
  {
    name: 'request headers: order, case, duplicates',
    headers: [
      'x-b: 1',
      'X-A:2',
      'X-b:   3',
      'Cookie: a=1; b=2',
      'accept: */*',
      'X-Empty:',
      'X-Latin: caf\xe9',
    ],
    answer: OK,
  },
  { name: 'a request header of 12 KB', headers: [`X-Big: ${'r'.repeat(12_000)}`], answer: OK },
  { name: 'a method of its own', method: 'PURGE', answer: OK },
  { name: 'OPTIONS', method: 'OPTIONS', answer: OK },
  {
    name: 'DELETE with a body',
    method: 'DELETE',
    headers: ['Content-Length: 3'],
    body: 'del',
    answer: answerWithBody(3),
  },
  {
    name: 'GET with a body',
    headers: ['Content-Length: 3'],
    body: 'get',
    answer: answerWithBody(3),
  },
  {
    name: 'POST of every byte value',
    method: 'POST',
    headers: ['Content-Length: 256'],
    body: allBytes,
    answer: answerWithBody(256),
  },
  { name: 'POST without a body', method: 'POST', headers: ['Content-Length: 0'], answer: OK },
  {
    name: 'POST in chunks',
    method: 'POST',
    headers: ['Transfer-Encoding: chunked'],
    body: '5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n',
    answer: answerWithChunks(/0\r\n\r\n$/),
  },
  {
    name: 'POST in chunks with a trailer',
    http1Only: true,
    method: 'POST',
    headers: ['Transfer-Encoding: chunked', 'Trailer: X-Sum'],
    body: '5\r\nhello\r\n0\r\nX-Sum: 12\r\n\r\n',
    answer: answerWithChunks(/X-Sum: 12\r\n\r\n$/),
  },
  {
    name: 'Expect: 100-continue, and the upstream continues',
    method: 'POST',
    headers: ['Expect: 100-continue', 'Content-Length: 4'],
    bodyAfterContinue: 'body',
    answer: (socket, request, rest) => {
      socket.write('HTTP/1.1 100 Continue\r\n\r\n');
      (answerWithBody(4) as (s: Socket, q: SeenRequest, r: Buffer) => void)(socket, request, rest);
    },
  },
  {
    name: 'Expect: 100-continue, and the upstream refuses',
    method: 'POST',
    headers: ['Expect: 100-continue', 'Content-Length: 4'],
    bodyAfterContinue: 'body',
    answer: 'HTTP/1.1 417 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno',
    closes: true,
  },
  {
    name: 'an answer before the upload has ended',
    method: 'POST',
    headers: ['Content-Length: 1000'],
    body: 'only a part',
    answer: 'HTTP/1.1 413 Too much\r\nContent-Length: 4\r\n\r\nstop',
  },
];

export const CASES: readonly Case[] = [...responses, ...targets, ...requests];
