import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, request, type IncomingMessage } from 'node:http';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { PassThrough, type Duplex } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import fastify, { type FastifyInstance } from 'fastify';
import { inProcessServer, type InProcessServer } from './in-process.ts';

let app: FastifyInstance;
let server: InProcessServer;
let slow: PassThrough;
let aborted: Promise<unknown>;

beforeEach(async () => {
  app = fastify({ trustProxy: true, forceCloseConnections: true });
  app.addContentTypeParser('*', (_request, payload, done) => done(null, payload));
  app.get('/', async (request) => ({ ip: request.ip, host: request.host }));
  app.post('/echo', (request, reply) => reply.send(request.body));
  slow = new PassThrough();
  app.get('/slow', (request, reply) => {
    aborted = new Promise((resolve) => request.raw.socket.once('close', resolve));
    return reply.send(slow);
  });
  await app.ready();
  server = inProcessServer(app);
});

afterEach(async () => {
  await server.close();
  await app.close();
});

async function fetchOver(
  socket: Duplex,
  path: string,
  options: { method?: string; body?: Buffer; headers?: Record<string, string> } = {},
): Promise<IncomingMessage> {
  const agent = new Agent();
  agent.createConnection = () => socket;
  const call = request({
    agent,
    path,
    method: options.method ?? 'GET',
    headers: { host: 'control.test', ...options.headers },
  });
  call.end(options.body);
  const [response] = (await once(call, 'response')) as [IncomingMessage];
  return response;
}

function said(socket: Duplex, words: string): Promise<void> {
  return new Promise((resolve) => {
    let seen = '';
    socket.on('data', (chunk: Buffer) => {
      seen += chunk.toString();
      if (seen.includes(words)) resolve();
    });
  });
}

describe('an app reached in process', () => {
  it('answers several requests on one connection', async () => {
    const socket = server.connect();
    const ask = 'GET / HTTP/1.1\r\nHost: a.test\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n';
    let seen = '';
    socket.setEncoding('latin1');
    socket.on('data', (chunk: string) => (seen += chunk));
    for (const answers of [1, 2, 3]) {
      socket.write(ask);
      while (seen.split('"ip":"203.0.113.9"').length - 1 < answers) await once(socket, 'data');
    }
    assert.equal(seen.split('HTTP/1.1 200').length - 1, 3);
    assert.ok(!socket.destroyed);
  });

  it('carries 8 MiB both ways, streaming, byte for byte', async () => {
    const body = Buffer.alloc(8 * 1024 * 1024, 'burrow ');
    const headers = { 'content-type': 'application/octet-stream' };
    const response = await fetchOver(server.connect(), '/echo', { method: 'POST', body, headers });
    assert.ok(body.equals(await buffer(response)));
  });

  it('sends what the app writes at once', async () => {
    slow.write('first');
    const response = await fetchOver(server.connect(), '/slow');
    const [chunk] = (await once(response, 'data')) as [Buffer];
    assert.equal(chunk.toString(), 'first');
    slow.end('last');
    assert.equal(await text(response), 'last');
  });

  it('answers after the other side half-closed', async () => {
    const socket = server.connect();
    socket.end('GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n');
    const answer = await text(socket);
    assert.match(answer, /^HTTP\/1\.1 200 OK[^]*"ip":"127\.0\.0\.1"/);
  });

  it('tells the app when the other side is gone', async () => {
    const socket = server.connect();
    slow.write('x');
    const response = await fetchOver(socket, '/slow');
    response.on('error', () => {});
    socket.destroy();
    await aborted;
  });

  it('refuses what is not HTTP', async () => {
    const socket = server.connect();
    socket.write('\0\0\0nonsense\r\n\r\n');
    assert.match(await text(socket), /^HTTP\/1\.1 400/);
    assert.ok(socket.destroyed);
  });

  it('holds back an app whose reader does not read', async () => {
    const socket = server.connect();
    socket.write('GET /slow HTTP/1.1\r\nHost: a.test\r\n\r\n');
    let taken = 0;
    const chunk = Buffer.alloc(64 * 1024);
    while (taken < 64 && slow.write(chunk)) {
      taken += 1;
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.ok(taken < 16, `${taken} chunks of 64 KiB were taken in`);
    socket.resume();
    await once(slow, 'drain');
  });

  it('answers several pipelined requests in order', async () => {
    const socket = server.connect();
    const heard = said(socket, '"host":"third"');
    for (const host of ['first', 'second', 'third']) {
      socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    }
    await heard;
  });

  it('ends every connection when closed, twice, and takes no new one', async () => {
    const idle = server.connect();
    slow.write('x');
    const response = await fetchOver(server.connect(), '/slow');
    const failed = once(response, 'error');
    await server.close();
    await server.close();
    assert.ok(idle.destroyed);
    await failed;
    assert.ok(server.connect().destroyed);
  });
});
