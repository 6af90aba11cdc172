import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ChunkedReader } from './h1-chunked.ts';
import { HeadError, findHeadEnd, resumeAt } from './h1-head.ts';
import { parseRequestFields, parseRequestLine } from './h1-request.ts';
import { DEFAULT_HTTP_LIMITS as limits } from './limits.ts';

/** The whole head at once: what the front does with it. */
function parse(text: string) {
  const buffer = Buffer.from(text, 'latin1');
  const end = findHeadEnd(buffer, 0, 0);
  if (end === -1) return undefined;
  if (end > limits.headBytes) throw new HeadError(431, 'too large');
  const head = buffer.toString('latin1', 0, end - 2);
  const lineEnd = head.indexOf('\r\n');
  const line = parseRequestLine(head.slice(0, lineEnd));
  const fields = parseRequestFields(head.slice(lineEnd + 2), line.version, limits);
  if (line.authority !== undefined && line.authority !== fields.authority) {
    throw new HeadError(400, 'other host');
  }
  return { line, fields, end };
}

const H = 'Host: a\r\n';
const REFUSED: [name: string, head: string, status: number][] = [
  [
    'CL and TE',
    `POST / HTTP/1.1\r\n${H}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n`,
    400,
  ],
  [
    'TE and CL',
    `POST / HTTP/1.1\r\n${H}Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n`,
    400,
  ],
  ['different CL', `POST / HTTP/1.1\r\n${H}Content-Length: 1\r\nContent-Length: 2\r\n\r\n`, 400],
  ['equal CL twice', `POST / HTTP/1.1\r\n${H}Content-Length: 1\r\nContent-Length: 1\r\n\r\n`, 400],
  ['CL list', `POST / HTTP/1.1\r\n${H}Content-Length: 1, 1\r\n\r\n`, 400],
  ['CL with sign', `POST / HTTP/1.1\r\n${H}Content-Length: +1\r\n\r\n`, 400],
  ['CL in hexadecimal', `POST / HTTP/1.1\r\n${H}Content-Length: 0x1\r\n\r\n`, 400],
  ['CL octal-looking', `POST / HTTP/1.1\r\n${H}Content-Length: 010\r\n\r\n`, 400],
  ['CL over 2^53', `POST / HTTP/1.1\r\n${H}Content-Length: 9007199254740993\r\n\r\n`, 400],
  ['CL empty', `POST / HTTP/1.1\r\n${H}Content-Length:\r\n\r\n`, 400],
  ['TE gzip', `POST / HTTP/1.1\r\n${H}Transfer-Encoding: gzip\r\n\r\n`, 501],
  ['TE gzip, chunked', `POST / HTTP/1.1\r\n${H}Transfer-Encoding: gzip, chunked\r\n\r\n`, 400],
  [
    'TE chunked, chunked',
    `POST / HTTP/1.1\r\n${H}Transfer-Encoding: chunked, chunked\r\n\r\n`,
    400,
  ],
  [
    'TE twice',
    `POST / HTTP/1.1\r\n${H}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n`,
    400,
  ],
  ['TE xchunked', `POST / HTTP/1.1\r\n${H}Transfer-Encoding: xchunked\r\n\r\n`, 501],
  ['TE with vertical tab', `POST / HTTP/1.1\r\n${H}Transfer-Encoding: \x0bchunked\r\n\r\n`, 400],
  ['TE with space before colon', `POST / HTTP/1.1\r\n${H}Transfer-Encoding : chunked\r\n\r\n`, 400],
  ['TE in HTTP/1.0', `POST / HTTP/1.0\r\n${H}Transfer-Encoding: chunked\r\n\r\n`, 400],
  ['obs-fold', `GET / HTTP/1.1\r\n${H}X: a\r\n b\r\n\r\n`, 400],
  ['obs-fold with tab', `GET / HTTP/1.1\r\n${H}X: a\r\n\tb\r\n\r\n`, 400],
  ['folded first line', `GET / HTTP/1.1\r\n ${H}\r\n`, 400],
  ['bare LF', `GET / HTTP/1.1\n${H}\r\n`, 400],
  ['bare LF in a field', `GET / HTTP/1.1\r\n${H}X: a\nY: b\r\n\r\n`, 400],
  ['bare CR', `GET / HTTP/1.1\r\n${H}X: a\rY: b\r\n\r\n`, 400],
  ['NUL', `GET / HTTP/1.1\r\n${H}X: a\0b\r\n\r\n`, 400],
  ['no Host', 'GET / HTTP/1.1\r\n\r\n', 400],
  ['two Hosts', `GET / HTTP/1.1\r\n${H}${H}\r\n`, 400],
  ['empty Host', 'GET / HTTP/1.1\r\nHost:\r\n\r\n', 400],
  ['Host with userinfo', 'GET / HTTP/1.1\r\nHost: b@a\r\n\r\n', 400],
  ['Host with path', 'GET / HTTP/1.1\r\nHost: a/b\r\n\r\n', 400],
  ['Host list', 'GET / HTTP/1.1\r\nHost: a, b\r\n\r\n', 400],
  ['Host with space', 'GET / HTTP/1.1\r\nHost: a b\r\n\r\n', 400],
  ['absolute-form of another host', `GET http://b/ HTTP/1.1\r\n${H}\r\n`, 400],
  ['absolute-form with userinfo', `GET http://u@a/ HTTP/1.1\r\n${H}\r\n`, 400],
  ['absolute-form of another scheme', `GET ftp://a/ HTTP/1.1\r\n${H}\r\n`, 400],
  ['authority-form', `GET a:80 HTTP/1.1\r\n${H}\r\n`, 400],
  ['CONNECT', `CONNECT a:80 HTTP/1.1\r\n${H}\r\n`, 405],
  ['* for GET', `GET * HTTP/1.1\r\n${H}\r\n`, 400],
  ['space in target', `GET /a b HTTP/1.1\r\n${H}\r\n`, 400],
  ['two spaces', `GET  / HTTP/1.1\r\n${H}\r\n`, 400],
  ['fragment', `GET /#a HTTP/1.1\r\n${H}\r\n`, 400],
  ['method with brackets', `G(T / HTTP/1.1\r\n${H}\r\n`, 400],
  ['no version', `GET /\r\n${H}\r\n`, 400],
  ['HTTP/1.2', `GET / HTTP/1.2\r\n${H}\r\n`, 505],
  ['HTTP/2.0', `PRI * HTTP/2.0\r\n\r\n`, 505],
  ['lower case http', `GET / http/1.1\r\n${H}\r\n`, 400],
  ['name with space', `GET / HTTP/1.1\r\n${H}X Y: a\r\n\r\n`, 400],
  ['empty name', `GET / HTTP/1.1\r\n${H}: a\r\n\r\n`, 400],
  ['no colon', `GET / HTTP/1.1\r\n${H}X\r\n\r\n`, 400],
  ['201 fields', `GET / HTTP/1.1\r\n${H}${'X: y\r\n'.repeat(200)}\r\n`, 431],
  ['head over 64 KiB', `GET / HTTP/1.1\r\n${H}X: ${'y'.repeat(65536)}\r\n\r\n`, 431],
];

for (const [name, head, status] of REFUSED) {
  test(`refused: ${name}`, () => {
    assert.throws(
      () => parse(head),
      (error) => error instanceof HeadError && error.status === status,
    );
  });
}

test('accepted: target bytes, absolute-form of the same host, OPTIONS *', () => {
  assert.equal(
    parse(`GET /%2e%2E//a?b=\xff|{} HTTP/1.1\r\n${H}\r\n`)?.line.target,
    '/%2e%2E//a?b=\xff|{}',
  );
  assert.equal(parse('GET http://A:80/x?y HTTP/1.1\r\nHost: a:80\r\n\r\n')?.line.target, '/x?y');
  assert.equal(parse(`GET http://a?y HTTP/1.1\r\n${H}\r\n`)?.line.target, '/?y');
  assert.equal(parse(`OPTIONS * HTTP/1.1\r\n${H}\r\n`)?.line.target, '*');
  assert.equal(parse('GET / HTTP/1.0\r\n\r\n')?.fields.authority, '');
  assert.equal(parse('GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n')?.fields.authority, '[::1]:80');
  assert.deepEqual(parse(`GET / HTTP/1.1\r\n${H}X:\t y z \r\nx:\r\n\r\n`)?.fields.headers, [
    'Host',
    'a',
    'X',
    'y z',
    'x',
    '',
  ]);
});

test('any split of a head finds the same end, or the same refusal', () => {
  const bytes = fc
    .array(
      fc.constantFrom('\r\n', 'GET / HTTP/1.1', 'Host: a', '\r', '\n', ' ', ':', 'x', '\r\n\r\n'),
      {
        maxLength: 12,
      },
    )
    .map((parts) => Buffer.from(`a${parts.join('')}`, 'latin1'));
  fc.assert(
    fc.property(bytes, fc.array(fc.nat(60), { maxLength: 6 }), (buffer, cuts) => {
      const whole = attempt(() => findHeadEnd(buffer, 0, 0));
      let from = 0;
      let got: unknown = -1;
      for (const cut of [...cuts.toSorted((a, b) => a - b), buffer.length]) {
        const part = buffer.subarray(0, Math.min(cut, buffer.length));
        got = attempt(() => findHeadEnd(part, 0, Math.min(from, part.length)));
        if (got !== -1) break;
        from = resumeAt(part, 0);
      }
      assert.deepEqual(got, whole);
    }),
  );
});

test('chunked: any split gives the same data, trailers and end', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.string({ minLength: 1, maxLength: 40 }), fc.boolean()), {
        maxLength: 6,
      }),
      fc.array(fc.nat(400), { maxLength: 8 }),
      fc.boolean(),
      (chunks, cuts, withTrailer) => {
        let text = '';
        let data = '';
        for (const [piece, extended] of chunks) {
          const bytes = Buffer.from(piece).toString('latin1');
          data += bytes;
          text += `${bytes.length.toString(16)}${extended ? ';a="b"' : ''}\r\n${bytes}\r\n`;
        }
        text += `0\r\n${withTrailer ? 'X-T: 1\r\n' : ''}\r\nREST`;
        const all = Buffer.from(text, 'latin1');
        const reader = new ChunkedReader(limits, 400);
        let got = '';
        let raw = '';
        let used = 0;
        let start = 0;
        for (const cut of [
          ...cuts.filter((c) => c < all.length).toSorted((a, b) => a - b),
          all.length,
        ]) {
          const part = all.subarray(start, cut);
          start = cut;
          let position = 0;
          while (position < part.length && !reader.inTrailers) {
            const before = position;
            position = reader.next(part, position);
            got += part.toString('latin1', reader.dataStart, reader.dataEnd);
            raw += part.toString('latin1', before, position);
          }
          if (reader.inTrailers && !reader.done) position = reader.readTrailers(part, position);
          used += position;
          if (reader.done) break;
        }
        assert.equal(got, data);
        assert.ok(reader.done);
        assert.equal(used, all.length - 4);
        assert.deepEqual(reader.trailers, withTrailer ? ['X-T', '1'] : []);
        assert.equal(raw, text.slice(0, text.lastIndexOf('0\r\n') + 3));
      },
    ),
  );
});

test('chunked: a message that was given up leaves no trace in the next', () => {
  const reader = new ChunkedReader(limits, 400);
  for (const begun of ['000000000000001', `5;${'a'.repeat(250)}`, '5\r\nhel', '0\r\nX-T: 1\r\n']) {
    const part = Buffer.from(begun, 'latin1');
    const position = reader.next(part, 0);
    if (reader.inTrailers) reader.readTrailers(part, position);
    reader.reset();
    const whole = Buffer.from('000000000000\r\n\r\n', 'latin1');
    assert.equal(reader.readTrailers(whole, reader.next(whole, 0)), whole.length, begun);
    assert.deepEqual([reader.done, reader.trailers], [true, []]);
    reader.reset();
  }
});

for (const [name, text] of [
  ['no digits', '\r\n'],
  ['sign', '+5\r\n'],
  ['0x', '0x5\r\n'],
  ['space before', ' 5\r\n'],
  ['space after', '5 \r\n'],
  ['bare LF', '5\nhello'],
  ['bare LF after extension', '5;a\nhello'],
  ['CR in extension', '5;a\rb\r\nhello'],
  ['no CRLF behind data', '5\r\nhelloX'],
  ['LF behind data', '5\r\nhello\n'],
  ['huge', 'fffffffffffffffff\r\n'],
  ['endless zeros', `${'0'.repeat(40)}\r\n`],
  ['long extension', `5;${'a'.repeat(300)}\r\n`],
  ['folded trailer', '0\r\nX: a\r\n b\r\n\r\n'],
  ['bare LF in trailers', '0\r\nX: a\n\r\n'],
  ['long trailers', `0\r\nX: ${'a'.repeat(17_000)}\r\n\r\n`],
] as const) {
  test(`chunked, refused: ${name}`, () => {
    const reader = new ChunkedReader(limits, 400);
    const buffer = Buffer.from(text, 'latin1');
    assert.throws(() => {
      let position = 0;
      while (position < buffer.length && !reader.inTrailers)
        position = reader.next(buffer, position);
      if (reader.inTrailers) reader.readTrailers(buffer, position);
    }, HeadError);
  });
}

function attempt(run: () => number): unknown {
  try {
    return run();
  } catch (error) {
    return (error as Error).message;
  }
}
