// Request smuggling and other bad requests, through the whole stack: refused, and never seen by an app.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startBurrow, type Burrow } from '../harness/burrow.ts';
import { dial } from './support/dial.ts';
import { rawUpstream, type Upstream } from './support/raw-upstream.ts';
import { ByteReader, readResponse } from './support/raw-response.ts';

const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n';

/** Head lines behind the request line, then the body; HOST and AUTH stand for good ones. */
const CASES: readonly (readonly [name: string, request: string])[] = [
  [
    'length and chunks',
    `POST / HTTP/1.1\r\nHOST\r\nAUTH\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  ],
  [
    'two lengths',
    `POST / HTTP/1.1\r\nHOST\r\nAUTH\r\nContent-Length: 5\r\nContent-Length: 0\r\n\r\nhello${SMUGGLED}`,
  ],
  [
    'a list of lengths',
    `POST / HTTP/1.1\r\nHOST\r\nAUTH\r\nContent-Length: 5, 0\r\n\r\nhello${SMUGGLED}`,
  ],
  [
    'a signed length',
    `POST / HTTP/1.1\r\nHOST\r\nAUTH\r\nContent-Length: +5\r\n\r\nhello${SMUGGLED}`,
  ],
  [
    'chunked twice',
    `POST / HTTP/1.1\r\nHOST\r\nAUTH\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  ],
  [
    'chunked, not last',
    `POST / HTTP/1.1\r\nHOST\r\nAUTH\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  ],
  [
    'a name with a space before its colon',
    `POST / HTTP/1.1\r\nHOST\r\nAUTH\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  ],
  [
    'a folded header',
    `GET / HTTP/1.1\r\nHOST\r\nAUTH\r\nX-A: 1\r\n Transfer-Encoding: chunked\r\n\r\n`,
  ],
  ['a bare line feed', `GET / HTTP/1.1\r\nHOST\r\nAUTH\r\nX-A: 1\nX-B: 2\r\n\r\n`],
  ['a bare carriage return', `GET / HTTP/1.1\r\nHOST\r\nAUTH\r\nX-A: 1\rX-B: 2\r\n\r\n`],
  ['a zero byte', `GET / HTTP/1.1\r\nHOST\r\nAUTH\r\nX-A: \0\r\n\r\n`],
  ['two hosts', `GET / HTTP/1.1\r\nHOST\r\nHost: other.localhost\r\nAUTH\r\n\r\n`],
  ['no host', `GET / HTTP/1.1\r\nAUTH\r\n\r\n`],
  [
    'an absolute target for another host',
    `GET http://other.localhost/ HTTP/1.1\r\nHOST\r\nAUTH\r\n\r\n`,
  ],
  ['a space in the target', `GET /a b HTTP/1.1\r\nHOST\r\nAUTH\r\n\r\n`],
  ['an unknown version', `GET / HTTP/3.7\r\nHOST\r\nAUTH\r\n\r\n`],
  [
    'a chunk size that is none',
    `POST / HTTP/1.1\r\nHOST\r\nAUTH\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n${SMUGGLED}`,
  ],
  [
    'a chunk size beyond all bounds',
    `POST / HTTP/1.1\r\nHOST\r\nAUTH\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n${SMUGGLED}`,
  ],
  ['headers without end', `GET / HTTP/1.1\r\nHOST\r\nAUTH\r\nX-A: ${'a'.repeat(300_000)}\r\n\r\n`],
  ['CONNECT', `CONNECT 127.0.0.1:22 HTTP/1.1\r\nHOST\r\nAUTH\r\n\r\n`],
];

for (const tls of [false, true]) {
  const scheme = tls ? 'https' : 'http';
  describe(tls ? 'over TLS on *.burrow.test' : 'on *.localhost', () => {
    let burrow: Burrow;
    let app: Upstream;
    let host: string;
    before(async () => {
      app = await rawUpstream((socket) =>
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'),
      );
      burrow = await startBurrow({ workspace: 'prey', tls });
      await burrow.startAgent('prey');
      ({ host } = new URL(burrow.appUrl('prey', app.port)));
    });
    after(async () => {
      await burrow.stop();
      await app[Symbol.asyncDispose]();
    });

    // Refused with an error of the client’s, and the connection ends.
    for (const [name, request] of CASES) {
      test(name, { timeout: 10_000 }, async (t) => {
        const socket = dial(burrow, host);
        t.after(() => socket.destroy());
        const reader = new ByteReader(socket);
        socket.write(
          request
            .replace('HOST', `Host: ${host}`)
            .replace('AUTH', `Burrow-Authorization: Bearer ${burrow.token}`),
          'latin1',
        );
        const response = await readResponse(reader, 'GET');
        assert.ok(
          (response.status >= 400 && response.status < 500) ||
            response.status === 501 ||
            response.status === 505,
          `answered ${response.status}`,
        );
        assert.ok(!response.body.includes(burrow.token), 'the error page repeats no credentials');
        // Nothing behind a bad request is taken for another one.
        assert.equal((await reader.rest()).length, 0);
        const lines = app.seen.map((seen) => seen.line);
        assert.ok(!lines.some((line) => line.includes('smuggled')), lines.join('; '));
      });
    }

    test('forged forwarding headers never reach the app', async () => {
      const forged = {
        'x-forwarded-host': 'evil.example',
        'x-forwarded-proto': 'gopher',
        'x-forwarded-for': '6.6.6.6',
        forwarded: 'for=6.6.6.6;host=evil.example',
      };
      const answer = await burrow.send(burrow.appUrl('prey', app.port), { headers: forged });
      assert.equal(answer.status, 200);
      const seen = app.seen.at(-1)?.headers.join('\n') ?? '';
      assert.ok(!/evil|6\.6\.6\.6|gopher|burrow_pat/.test(seen), seen);
      assert.ok(seen.toLowerCase().includes(`x-forwarded-proto: ${scheme}\n`), seen);
      assert.ok(seen.toLowerCase().includes(`x-forwarded-host: ${host}`), seen);
    });

    test('host names that name nobody, ports that are none', async () => {
      for (const [name, status] of [
        ['nobody.example.com', [421]],
        [`no-such.${burrow.domain}`, [404]],
        [`0-prey.${burrow.domain}`, [400, 404, 421]],
        [`65536-prey.${burrow.domain}`, [400, 404, 421]],
      ] as const) {
        // Under TLS the certificate is asked for a good name: only Host counts.
        const answer = await burrow.send(burrow.url, {
          headers: { host: `${name}:${burrow.port}` },
        });
        assert.ok(
          (status as readonly number[]).includes(answer.status),
          `${name}: ${answer.status}`,
        );
      }
    });
  });
}
