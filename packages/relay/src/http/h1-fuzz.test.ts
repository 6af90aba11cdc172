/**
 * Differential: what both our engine and node:http accept, they must read the
 * same way. We may refuse more. The engine's upstream is a node:http server too,
 * so "what we read" is what an app would see.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, createServer, get, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import { RawClient, harness, upstream } from './test-support.ts';

interface Seen {
  method: string;
  url: string;
  own: string[];
  body: string;
}

async function recorder(): Promise<{ server: Server; port: number; seen: Seen[] }> {
  const seen: Seen[] = [];
  const server = createServer((req, res) => {
    let body = '';
    req.setEncoding('latin1');
    req.on('data', (chunk: string) => (body += chunk));
    req.on('end', () => {
      const own: string[] = [];
      for (let i = 0; i < req.rawHeaders.length; i += 2) {
        if (/^x-[abc]$/i.test(req.rawHeaders[i] ?? '')) {
          own.push(req.rawHeaders[i] ?? '', req.rawHeaders[i + 1] ?? '');
        }
      }
      seen.push({ method: req.method ?? '', url: req.url ?? '', own, body });
      res.end('ok');
    });
    req.on('error', () => {});
  });
  server.on('clientError', (_error, socket) =>
    socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n'),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, port: (server.address() as AddressInfo).port, seen };
}

const eol = fc.oneof(
  { weight: 20, arbitrary: fc.constant('\r\n') },
  { weight: 1, arbitrary: fc.constantFrom('\n', '\r', '\r\n ', '\r\r\n') },
);
const field = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom('X-A: 1', 'x-b:2 ', 'X-C:\t3', 'X-A: \xe9', 'x-b:') },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      'Content-Length: 5',
      'Transfer-Encoding: chunked',
      'Content-Length: 0',
    ),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      'Content-Length: 3',
      'Content-Length: +5',
      'Content-Length: 5, 5',
      'Content-Length : 5',
      'Content-Length: 05',
      'Transfer-Encoding: Chunked',
      'Transfer-Encoding: gzip, chunked',
      'Transfer-Encoding: chunked, identity',
      'Transfer-Encoding:\x0bchunked',
      'Transfer-Encoding: "chunked"',
      'Transfer_Encoding: chunked',
      'X-A: a\0b',
      'X A: 1',
      ' X-A: 1',
      ': 1',
      'X-A',
      'Host: b',
      'Connection: close',
      'Connection: content-length',
      'Expect: 200-ok',
      'X-B: \x7f',
      'Upgrade: h2c\r\nConnection: Upgrade',
    ),
  },
);
const body = fc.constantFrom(
  '',
  'hello',
  '5\r\nhello\r\n0\r\n\r\n',
  '5;x=y\r\nhello\r\n0\r\nX-T: 1\r\n\r\n',
  '5\nhello\n0\n\n',
  '05\r\nhello\r\n0\r\n\r\n',
  '5 \r\nhello\r\n0\r\n\r\n',
  '5\r\nhelloX\r\n0\r\n\r\n',
  '-5\r\nhello\r\n0\r\n\r\n',
  '0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n',
  'helloGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n',
  '5;\nx\r\nhello\r\n0\r\n\r\n',
  '0x5\r\nhello\r\n0\r\n\r\n',
);
const start = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.constantFrom(
      'GET / HTTP/1.1',
      'POST /a?b=%zz HTTP/1.1',
      'PUT /\xe9 HTTP/1.1',
      'DELETE //x HTTP/1.1',
    ),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      'POST http://a/abs HTTP/1.1',
      'POST http://b/abs HTTP/1.1',
      'GET /a b HTTP/1.1',
      'POST / HTTP/1.0',
      'POST / HTTP/1.2',
      'get / HTTP/1.1',
      'POST /#f HTTP/1.1',
      'POST  / HTTP/1.1',
      'POST / HTTP/1.1 ',
      'FOO / HTTP/1.1',
      'OPTIONS * HTTP/1.1',
      'POST a HTTP/1.1',
    ),
  },
);
const rawRequest = fc
  .tuple(start, fc.boolean(), fc.array(fc.tuple(field, eol), { maxLength: 4 }), eol, body)
  .map(([line, host, fields, end, payload]) => {
    let text = `${line}\r\n${host ? 'Host: a\r\n' : 'hOST:a\r\n'}`;
    for (const [content, ending] of fields) text += content + ending;
    return text + end + payload;
  });
const mutated = fc
  .tuple(
    rawRequest,
    fc.option(
      fc.tuple(fc.nat(200), fc.constantFrom('\0', '\n', '\r', ' ', ':', ';', '\xff', 'X', '')),
      { freq: 4 },
    ),
  )
  .map(([text, change]) => {
    if (change === null) return text;
    const at = change[0] % text.length;
    return text.slice(0, at) + change[1] + text.slice(at + 1);
  });

/** Sends, ends, and waits for the other side to have closed. */
async function talk(port: number, text: string): Promise<string> {
  const client = new RawClient(port);
  client.send(text);
  client.socket.end();
  await client.untilEnd();
  client.socket.destroy();
  return client.text;
}

test('requests: what both accept is read the same way, and the rest only we refuse', async () => {
  const direct = await recorder();
  const app = await recorder();
  await using gate = await harness({
    port: app.port,
    limits: { halfCloseGraceMs: 1000, lingerMs: 200 },
  });
  try {
    await fc.assert(
      fc.asyncProperty(mutated, async (text) => {
        direct.seen.length = app.seen.length = 0;
        const [theirs, ours] = await Promise.all([talk(direct.port, text), talk(gate.port, text)]);
        void theirs;
        void ours;
        for (const [i, mine] of app.seen.entries()) {
          const other = direct.seen[i];
          if (other === undefined) {
            // node closes at a client's half-close; it must not have refused what we passed on.
            assert.doesNotMatch(
              theirs,
              /^HTTP\/1.1 [45]/,
              `we passed on what node refuses: ${JSON.stringify(text)}`,
            );
            continue;
          }
          // An absolute target of the same host is passed on as a path.
          const url = other.url.replace(/^https?:\/\/a(?=\/)/, '');
          assert.deepEqual(mine, { ...other, url }, JSON.stringify(text));
        }
      }),
      { numRuns: 400 },
    );
  } finally {
    direct.server.close();
    app.server.close();
    app.server.closeAllConnections();
    direct.server.closeAllConnections();
  }
});

const rawResponse = fc
  .tuple(
    fc.constantFrom(
      'HTTP/1.1 200 OK',
      'HTTP/1.1 200',
      'HTTP/1.0 200 OK',
      'HTTP/1.1 404 ',
      'HTTP/1.1 20 OK',
      'HTTP/1.1 204 N',
      'HTTP/2 200 OK',
      'HTTP/1.1  200 OK',
    ),
    fc.array(fc.tuple(field, eol), { maxLength: 3 }),
    eol,
    body,
  )
  .map(([line, fields, end, payload]) => {
    let text = `${line}\r\n`;
    for (const [content, ending] of fields) text += content + ending;
    return text + end + payload;
  });

interface Answer {
  status: number;
  own: string[];
  body: string;
}

function fetchRaw(port: number, agent: Agent): Promise<Answer | undefined> {
  return new Promise((resolve) => {
    const req = get(
      { port, host: '127.0.0.1', agent, headers: { Host: 'a' } },
      (res: IncomingMessage) => {
        let text = '';
        res.setEncoding('latin1');
        res.on('data', (chunk: string) => (text += chunk));
        res.on('error', () => resolve(undefined));
        res.on('end', () => {
          const own: string[] = [];
          for (let i = 0; i < res.rawHeaders.length; i += 2) {
            if (/^x-[abc]$/i.test(res.rawHeaders[i] ?? ''))
              own.push(res.rawHeaders[i] ?? '', res.rawHeaders[i + 1] ?? '');
          }
          resolve({ status: res.statusCode ?? 0, own, body: text });
        });
      },
    );
    req.on('upgrade', (_res, socket) => {
      socket.destroy();
      resolve(undefined);
    });
    req.on('error', () => resolve(undefined));
  });
}

test('responses: what node:http reads differently, or refuses, is a 502 or cut off', async () => {
  let next = '';
  await using app = await upstream((socket) => {
    socket.once('data', () => socket.end(Buffer.from(next, 'latin1')));
  });
  await using gate = await harness({ port: app.port });
  const agent = new Agent({ keepAlive: false });
  await fc.assert(
    fc.asyncProperty(rawResponse, async (text) => {
      next = text;
      const [direct, ours] = await Promise.all([
        fetchRaw(app.port, agent),
        fetchRaw(gate.port, agent),
      ]);
      if (ours === undefined || ours.status === 502) return;
      assert.deepEqual(ours, direct, JSON.stringify(text));
    }),
    { numRuns: 400 },
  );
});
