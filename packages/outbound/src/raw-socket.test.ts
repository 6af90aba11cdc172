import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { openRawSocket } from './raw-socket.ts';

async function echo(t: TestContext): Promise<URL> {
  const server = createServer((socket) => socket.on('error', () => {}).pipe(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
}

async function proxy(t: TestContext, status: number) {
  const seen: { authority: string; credentials: string | undefined }[] = [];
  const open = new Set<Socket>();
  const server = createHttpServer();
  server.on('connect', (request, client: Socket) => {
    seen.push({
      authority: request.url ?? '',
      credentials: request.headers['proxy-authorization'],
    });
    open.add(client.on('error', () => {}));
    if (status !== 200) return client.end(`HTTP/1.1 ${status} No\r\ncontent-length: 0\r\n\r\n`);
    const [host, port] = (request.url ?? '').split(':');
    const upstream = connect(Number(port), host, () => {
      client.write('HTTP/1.1 200 OK\r\n\r\nHELLO ');
      client.pipe(upstream).pipe(client);
    }).on('error', () => client.destroy());
    open.add(upstream);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of open) socket.destroy();
    server.close();
  });
  return { seen, port: (server.address() as AddressInfo).port };
}

const signal = () => AbortSignal.timeout(5000);

test('dials the relay itself', async (t) => {
  const url = await echo(t);
  const socket = await openRawSocket({ url, proxy: undefined, signal: signal() });
  socket.write('ping');
  assert.equal(String((await once(socket, 'data'))[0]), 'ping');
  socket.destroy();
});

test('CONNECT through a proxy with credentials, early bytes kept', async (t) => {
  const url = await echo(t);
  const { port, seen } = await proxy(t, 200);
  const socket = await openRawSocket({
    url,
    proxy: new URL(`http://me:p%40ss@127.0.0.1:${port}`),
    signal: signal(),
  });
  socket.write('ping');
  let text = '';
  for await (const chunk of socket) {
    text += String(chunk);
    if (text === 'HELLO ping') break;
  }
  assert.deepEqual(seen, [
    { authority: url.host, credentials: `Basic ${Buffer.from('me:p@ss').toString('base64')}` },
  ]);
});

test("a proxy's refusal is named, without its credentials", async (t) => {
  const url = await echo(t);
  const { port } = await proxy(t, 407);
  await assert.rejects(
    openRawSocket({ url, proxy: new URL(`http://me:secret@127.0.0.1:${port}`), signal: signal() }),
    (error: Error) => /refused .*407/.test(error.message) && !/secret/.test(error.message),
  );
});

test('a relay or proxy that is not there is named', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  const gone = new URL(`http://127.0.0.1:${port}`);
  await assert.rejects(openRawSocket({ url: gone, proxy: undefined, signal: signal() }), {
    kind: 'unreachable',
    message: /The relay at .* cannot be reached \(ECONNREFUSED\)/,
  });
  await assert.rejects(openRawSocket({ url: gone, proxy: gone, signal: signal() }), {
    message: /The proxy .* cannot be reached \(ECONNREFUSED\)/,
  });
});

test('an abort ends a dial that hangs', async (t) => {
  const server = createServer(() => {}).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const abort = new AbortController();
  const dialling = openRawSocket({
    url: new URL('http://relay.test'),
    proxy: new URL(`http://127.0.0.1:${port}`),
    signal: abort.signal,
  });
  setImmediate(() => abort.abort(new Error('enough')));
  await assert.rejects(dialling, /^Error: enough$/);
});
