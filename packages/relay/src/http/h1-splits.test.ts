import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { duplexPair } from 'node:stream';
import { test } from 'node:test';
import fc from 'fast-check';
import { harness, waitUntil } from './test-support.ts';

const INPUT = Buffer.from(
  '\r\nPOST /a HTTP/1.1\r\nHost: w\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\nA\r\n0123456789\r\n0\r\nX-T: 1\r\n\r\n' +
    'GET /b?c HTTP/1.1\r\nHost: w\r\nX-A: 1\r\n\r\n' +
    'PUT /d HTTP/1.1\r\nHost: w\r\nContent-Length: 7\r\n\r\nlength!' +
    'GET /last HTTP/1.1\r\nHost: w\r\nConnection: close\r\n\r\n',
);

test('however the bytes of pipelined requests are cut, the app sees the same requests', async () => {
  let seen: string[] = [];
  const app = createServer((req, res) => {
    let body = '';
    req.on('data', (chunk: Buffer) => (body += chunk.toString()));
    req.on('end', () => {
      seen.push(`${req.method} ${req.url} ${body} ${req.trailers['x-t'] ?? ''}`.trim());
      res.end(`<${req.url}>`);
    });
  });
  app.listen(0, '127.0.0.1');
  await once(app, 'listening');
  {
    await using gate = await harness({ port: (app.address() as AddressInfo).port });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(INPUT.length), { maxLength: 12 }), async (cuts) => {
        seen = [];
        const [client, server] = duplexPair();
        gate.gateway.handleSocket(server, {
          remoteAddress: '192.0.2.7',
          secure: false,
          trustedProxy: false,
        });
        let text = '';
        client.on('data', (chunk: Buffer) => (text += chunk.toString()));
        const ended = once(client, 'end');
        let start = 0;
        for (const cut of [...cuts.toSorted((a, b) => a - b), INPUT.length]) {
          if (cut > start) client.write(INPUT.subarray(start, cut));
          start = Math.max(start, cut);
          await new Promise(setImmediate);
        }
        await ended;
        client.end();
        assert.deepEqual(seen, [
          'POST /a hello0123456789 1',
          'GET /b?c',
          'PUT /d length!',
          'GET /last',
        ]);
        assert.equal(text.match(/<\/[^>]*>/g)?.join(' '), '</a> </b?c> </d> </last>');
      }),
      { numRuns: 60 },
    );
    await waitUntil(() => gate.gateway.connections === 0);
  }
  app.close();
  app.closeAllConnections();
});
