// The first bytes of a body arrive while its sender still holds back the rest: nothing on the way
// collects it, whatever its framing. The sender goes on only when the other side has them.
import assert from 'node:assert/strict';
import type { ClientHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import { startBurrow, type Burrow } from '../harness/burrow.ts';
import { dial, dialHttp2, dialPlain } from './support/dial.ts';
import type { Asking } from './support/exchange.ts';
import { HELD_ANSWERS, Received, begin1, begin2, firstPart } from './support/first-bytes.ts';
import { rawUpstream } from './support/raw-upstream.ts';

let plain: Burrow;
let secure: Burrow;
let session: ClientHttp2Session;
before(async () => {
  [plain, secure] = await Promise.all([
    startBurrow({ workspace: 'first' }),
    startBurrow({ workspace: 'first', tls: true }),
  ]);
  await Promise.all([plain.startAgent('first'), secure.startAgent('first')]);
  session = dialHttp2(secure, new URL(secure.appUrl('first')).host);
});
after(async () => {
  session.destroy();
  await Promise.all([plain.stop(), secure.stop()]);
});

/** Begins a request to the upstream at `port`; with headers it is a POST whose body is still to come. */
type Begin = (port: number, headers: readonly string[]) => Duplex;

const asking = (burrow: Burrow, port: number): Asking => ({
  authority: new URL(burrow.appUrl('first', port)).host,
  token: burrow.token,
});
const through =
  (burrow: () => Burrow): Begin =>
  (port, headers) => {
    const as = asking(burrow(), port);
    return begin1(dial(burrow(), as.authority), headers, as);
  };
const WAYS: readonly (readonly [name: string, begin: Begin])[] = [
  ['directly', (port, headers) => begin1(dialPlain(port), headers, asking(plain, port))],
  ['through the tunnel', through(() => plain)],
  ['through the tunnel, over TLS', through(() => secure)],
  [
    'through the tunnel, over TLS and HTTP/2',
    (port, headers) => begin2(session, headers, asking(secure, port)),
  ],
];

for (const [way, begin] of WAYS) {
  describe(way, () => {
    for (const each of HELD_ANSWERS) {
      test(`answer: ${each.name}`, async () => {
        let release = (): void => {};
        await using upstream = await rawUpstream((socket) => {
          socket.write(firstPart(each), 'latin1');
          release = () => {
            socket.write(each.rest, 'latin1');
            if (each.closes === true) socket.end();
          };
        });
        const request = begin(upstream.port, []);
        try {
          const received = new Received(request);
          await received.head();
          await received.part(each.seen[0]);
          assert.ok(!received.has(each.seen[1]));
          release();
          await received.part(each.seen[1]);
        } finally {
          request.destroy();
        }
      });
    }

    test('upload', { timeout: 10_000 }, async () => {
      const asked = Promise.withResolvers<[app: Socket, got: Received]>();
      await using upstream = await rawUpstream((socket, _request, rest) =>
        asked.resolve([socket, new Received(socket, rest.toString('latin1'))]),
      );
      const request = begin(upstream.port, ['Content-Length: 11']);
      try {
        const received = new Received(request);
        request.write('first');
        const [app, got] = await asked.promise;
        await got.part('first');
        assert.ok(!got.has('second'));
        request.write('second');
        await got.part('second');
        app.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone');
        await received.part('done');
      } finally {
        request.destroy();
      }
    });
  });
}
