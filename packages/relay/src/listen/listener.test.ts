import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync, copyFileSync, renameSync } from 'node:fs';
import http from 'node:http';
import http2 from 'node:http2';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import { after, before, test, type TestContext } from 'node:test';
import { addressSet } from '../config/address-range.ts';
import type { ConnectionInfo } from './connection.ts';
import { createListener, type ListenerOptions } from './listener.ts';

const folder = mkdtempSync(join(tmpdir(), 'burrow-listen-'));
function makeCertificate(name: string): void {
  execFileSync(
    'openssl',
    [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'],
      ...[
        '-keyout',
        join(folder, `${name}.key`),
        '-out',
        join(folder, `${name}.crt`),
        '-days',
        '2',
      ],
      ...['-subj', `/CN=${name}`],
    ],
    { stdio: 'ignore' },
  );
}
before(() => {
  makeCertificate('one');
  makeCertificate('two');
});
after(() => rmSync(folder, { recursive: true, force: true }));

/** A listener that answers `<protocol> <address> <secure>`. */
async function start(t: TestContext, over: Partial<ListenerOptions> = {}) {
  const infos: ConnectionInfo[] = [];
  const errors: string[] = [];
  const refused: string[] = [];
  const text = (info: ConnectionInfo): string => `${info.remoteAddress} ${info.secure}`;
  const inner = http.createServer((request, response) =>
    response.end(`http1 ${text(infos.at(-1)!)} ${request.url}`),
  );
  const listener = createListener({
    host: '127.0.0.1',
    port: 0,
    proxyProtocol: false,
    trusted: addressSet([]),
    sniffTimeoutMs: 5000,
    maxConnections: 100,
    maxConnectionsPerAddress: 100,
    onHttp1: (socket, info) => {
      infos.push(info);
      inner.emit('connection', socket);
    },
    onHttp2: (stream, _headers, _raw, info) => {
      stream.on('error', () => {});
      stream.respond({ ':status': 200 });
      stream.end(`http2 ${text(info)}`);
    },
    log: { debug() {}, info() {}, error: (_fields, message) => errors.push(message) },
    onRefused: (why) => refused.push(why),
    ...over,
  });
  const port = await listener.start();
  listener.open();
  t.after(() => listener.close());
  return { listener, port, errors, refused, infos };
}

async function getHttp2(
  url: string,
  options: http2.SecureClientSessionOptions = {},
): Promise<string> {
  const session = http2.connect(url, { rejectUnauthorized: false, ...options });
  session.on('error', () => {});
  const stream = session.request({ ':path': '/' });
  stream.setEncoding('utf8');
  let body = '';
  for await (const chunk of stream) body += chunk as string;
  session.close();
  return body;
}

/** Sends bytes on a raw connection and resolves with all that comes back. */
async function raw(port: number, ...writes: (string | Buffer)[]): Promise<string> {
  const socket = net.connect(port, '127.0.0.1').setEncoding('latin1');
  let answer = '';
  socket.on('data', (chunk) => (answer += chunk.toString()));
  socket.on('error', () => {});
  for (const bytes of writes) {
    socket.write(bytes, 'latin1');
    await new Promise((resolve) => setImmediate(resolve));
  }
  await once(socket, 'close');
  return answer;
}

const GET = 'GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';
const tlsFiles = (name: string) => ({
  certFile: join(folder, `${name}.crt`),
  keyFile: join(folder, `${name}.key`),
});

test('tells HTTP/1 and HTTP/2 apart on a plain port', async (t) => {
  const { port } = await start(t);
  assert.match(await raw(port, GET), /http1 127\.0\.0\.1 false \/x/);
  assert.equal(await getHttp2(`http://127.0.0.1:${port}`), 'http2 127.0.0.1 false');
});

test('a request that trickles in byte by byte is still understood', async (t) => {
  const { port } = await start(t);
  assert.match(
    await raw(
      port,
      'P',
      'U',
      'T /y HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 0\r\n\r\n',
    ),
    /http1 .* \/y/,
  );
});

test('a half-closed HTTP/1 client still gets its answer', async (t) => {
  const { port } = await start(t);
  const socket = net
    .connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    .setEncoding('latin1');
  socket.end(GET);
  let answer = '';
  for await (const chunk of socket) answer += chunk as string;
  assert.match(answer, /http1/);
});

test('a connection that says nothing is closed in time', async (t) => {
  const { port, refused, listener } = await start(t, { sniffTimeoutMs: 100 });
  assert.equal(await raw(port), '');
  assert.deepEqual(refused, ['sniff']);
  assert.equal(await raw(port, 'PRI * HT'), '');
  while (listener.connections > 0) await new Promise((resolve) => setImmediate(resolve));
});

test('TLS: ALPN chooses HTTP/2 or HTTP/1', async (t) => {
  const { port } = await start(t, { tls: tlsFiles('one') });
  assert.equal(await getHttp2(`https://127.0.0.1:${port}`), 'http2 127.0.0.1 true');
  for (const ALPNProtocols of [['http/1.1'], undefined]) {
    const socket = tls.connect({
      port,
      host: '127.0.0.1',
      rejectUnauthorized: false,
      ...(ALPNProtocols && { ALPNProtocols }),
    });
    socket.setEncoding('latin1').write(GET);
    let answer = '';
    for await (const chunk of socket) answer += chunk as string;
    assert.match(answer, /http1 127\.0\.0\.1 true/);
  }
});

test('TLS and plain text share the port', async (t) => {
  const { port } = await start(t, { tls: tlsFiles('one') });
  assert.match(await raw(port, GET), /http1 127\.0\.0\.1 false/);
});

test('TLS on a port without a certificate is refused', async (t) => {
  const { port, refused } = await start(t);
  await assert.rejects(getHttp2(`https://127.0.0.1:${port}`));
  assert.deepEqual(refused, ['tls']);
});

test('a TLS handshake that never ends is cut', async (t) => {
  const { port } = await start(t, { tls: tlsFiles('one'), sniffTimeoutMs: 100 });
  assert.equal(await raw(port, Buffer.from('160301', 'hex')), '');
});

test('a changed certificate is used by new connections; a bad one is not', async (t) => {
  const files = { certFile: join(folder, 'live.crt'), keyFile: join(folder, 'live.key') };
  copyFileSync(join(folder, 'one.crt'), files.certFile);
  copyFileSync(join(folder, 'one.key'), files.keyFile);
  const { port, listener, errors } = await start(t, { tls: files });
  assert.equal(await subject(port), 'one');

  writeFileSync(files.certFile, 'not a certificate');
  await listener.reloadCertificate();
  assert.deepEqual(errors, ['the new TLS certificate cannot be used; the old one stays']);
  assert.equal(await subject(port), 'one');

  for (const end of ['crt', 'key']) {
    copyFileSync(join(folder, `two.${end}`), join(folder, `next.${end}`));
    renameSync(join(folder, `next.${end}`), join(folder, `live.${end}`));
  }
  await listener.reloadCertificate();
  await listener.reloadCertificate();
  assert.equal(await subject(port), 'two');
});

test('file events alone bring a new certificate in', async (t) => {
  const files = { certFile: join(folder, 'event.crt'), keyFile: join(folder, 'event.key') };
  copyFileSync(join(folder, 'one.crt'), files.certFile);
  copyFileSync(join(folder, 'one.key'), files.keyFile);
  const reloaded = Promise.withResolvers<void>();
  const { port } = await start(t, {
    tls: files,
    log: { debug() {}, info: () => reloaded.resolve(), error() {} },
  });
  copyFileSync(join(folder, 'two.key'), files.keyFile);
  copyFileSync(join(folder, 'two.crt'), files.certFile);
  await reloaded.promise;
  assert.equal(await subject(port), 'two');
});

async function subject(port: number): Promise<string | undefined> {
  const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const name = socket.getPeerX509Certificate()?.subject.replace('CN=', '');
  socket.destroy();
  return name;
}

test('a trusted proxy names the client with the PROXY protocol', async (t) => {
  const { port } = await start(t, { proxyProtocol: true, trusted: addressSet(['loopback']) });
  assert.match(
    await raw(port, `PROXY TCP4 203.0.113.9 10.0.0.1 1234 443\r\n${GET}`),
    /http1 203\.0\.113\.9 false/,
  );
  assert.match(
    await raw(port, 'PROXY TCP4 203.0.113.9 10.0', '.0.1 1234 443\r\n', GET),
    /http1 203\.0\.113\.9/,
  );
});

test('a trusted proxy without its header is refused', async (t) => {
  const { port, refused } = await start(t, {
    proxyProtocol: true,
    trusted: addressSet(['loopback']),
  });
  assert.equal(await raw(port, GET), '');
  assert.deepEqual(refused, ['proxy-header']);
});

test('a PROXY header from anyone else is only a malformed request', async (t) => {
  const { port } = await start(t, { proxyProtocol: true, trusted: addressSet(['10.0.0.0/8']) });
  assert.match(
    await raw(port, `PROXY TCP4 203.0.113.9 10.0.0.1 1234 443\r\n${GET}`),
    /^HTTP\/1\.1 400/,
  );
});

test('PROXY protocol before TLS', async (t) => {
  const { port } = await start(t, {
    proxyProtocol: true,
    trusted: addressSet(['loopback']),
    tls: tlsFiles('one'),
  });
  const tcp = net.connect(port, '127.0.0.1');
  tcp.write('PROXY TCP4 203.0.113.9 10.0.0.1 1234 443\r\n');
  const body = await getHttp2('https://burrow.test', {
    createConnection: () =>
      tls.connect({ socket: tcp, rejectUnauthorized: false, ALPNProtocols: ['h2'] }),
  });
  assert.equal(body, 'http2 203.0.113.9 true');
});

test('connections over the cap are closed at once', async (t) => {
  const { port, refused } = await start(t, { maxConnections: 1 });
  const first = net.connect(port, '127.0.0.1');
  await once(first, 'connect');
  assert.equal(await raw(port), '');
  assert.deepEqual(refused, ['cap']);
  first.destroy();
});

test('a port in use is said so', async (t) => {
  const { port } = await start(t);
  const second = createListener({
    host: '127.0.0.1',
    port,
    proxyProtocol: false,
    trusted: addressSet([]),
    sniffTimeoutMs: 100,
    maxConnections: 1,
    maxConnectionsPerAddress: 1,
    onHttp1() {},
    onHttp2() {},
    log: { debug() {}, info() {}, error() {} },
  });
  await assert.rejects(second.start(), /another process uses this port/);
  await second.close();
});

test('closing twice is harmless and leaves nothing', async (t) => {
  const { listener, port } = await start(t);
  const idle = net.connect(port, '127.0.0.1');
  idle.on('error', () => {});
  await once(idle, 'connect');
  await Promise.all([listener.close(), once(idle, 'close')]);
  await listener.close();
});

test('a client that opens and resets streams without end is cut off (rapid reset)', async (t) => {
  let streams = 0;
  const { port } = await start(t, {
    onHttp2: (stream) => {
      streams += 1;
      stream.on('error', () => {});
    },
  });
  const session = http2.connect(`http://127.0.0.1:${port}`);
  session.on('error', () => {});
  await once(session, 'connect');
  const ended = new Promise((resolve) => session.once('close', () => resolve(undefined)));
  for (let round = 0; round < 100 && !session.closed; round++) {
    for (let i = 0; i < 50 && !session.closed; i++) {
      const stream = session.request({ ':path': '/' });
      stream.on('error', () => {});
      stream.close(http2.constants.NGHTTP2_CANCEL);
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
  await ended;
  assert.ok(streams < 5000, `${streams} streams were served`);
});

test('an HTTP/2 session without requests is closed; one with a silent request is not', async (t) => {
  const { port } = await start(t, {
    idleSessionMs: 50,
    onHttp2: (stream) => {
      stream.on('error', () => {});
      stream.respond({ ':status': 200 });
    },
  });
  const [idle, busy] = [1, 2].map(() => http2.connect(`http://127.0.0.1:${port}`));
  busy!.on('error', () => {});
  const stream = busy!.request({ ':path': '/events' });
  stream.on('error', () => {});
  await once(stream, 'response');
  await once(idle!, 'close');
  assert.equal(busy!.closed, false);
  busy!.destroy();
});
