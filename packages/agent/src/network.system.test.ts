// The built agent on difficult networks: silence, proxies, no HTTP/2, private authorities.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  buildBundle,
  echo,
  exchange,
  first,
  startAgent,
  startApp,
  startRelay,
  TOKEN,
} from './testing-system.ts';

buildBundle();

test('a relay that stops answering is noticed and dialled anew', { timeout: 30_000 }, async (t) => {
  const relay = await startRelay(t, { minLinks: 1, pingAfterMs: 1000, pongWithinMs: 500 });
  // Between the two: swallows everything once told to, with both connections left open.
  const pairs: { swallow: boolean }[] = [];
  const between = await startApp(t, (socket) => {
    const pair = { swallow: false };
    pairs.push(pair);
    const upstream = connect(relay.port, '127.0.0.1').on('error', () => socket.destroy());
    socket.on('data', (chunk) => pair.swallow || upstream.write(chunk));
    upstream.on('data', (chunk) => pair.swallow || socket.write(chunk));
    socket.on('close', () => upstream.destroy());
  });
  const agent = startAgent(t, between);
  await agent.event('linked');
  const silent = pairs[0] ?? assert.fail();
  silent.swallow = true;
  await relay.linked(2);
  assert.equal((await agent.event('link-lost')).code, 'link-silent');
});

test('where HTTP/2 does not pass, WebSocket does', { timeout: 20_000 }, async (t) => {
  const relay = await startRelay(t, {}, { speaks: 'http1' });
  const app = await startApp(t, echo);
  const agent = startAgent(t, relay.port);
  await relay.linked(2);
  const body = Buffer.alloc(1_000_000, 'websocket');
  assert.ok((await exchange(first(relay), app, body)).equals(body));
  assert.equal((await agent.event('fallback')).to, 'websocket');
  assert.equal((await agent.event('linked')).transport, 'websocket');
  assert.equal(relay.authorizations[0], `Bearer ${TOKEN}`);
  const fallbacks = agent.events.filter(({ event }) => event === 'fallback');
  assert.equal(fallbacks.length, 1, 'what worked is remembered');
});

test(
  'through an HTTP proxy with credentials, which appear in no log',
  { timeout: 20_000 },
  async (t) => {
    const relay = await startRelay(t);
    const app = await startApp(t, echo);
    const requests: string[] = [];
    const proxy = await startApp(t, (client: Socket) => {
      client.once('data', (bytes) => {
        requests.push(String(bytes));
        const upstream = connect(relay.port, '127.0.0.1', () => {
          client.write('HTTP/1.1 200 Connection established\r\n\r\n');
          client.pipe(upstream).pipe(client);
        });
        upstream.on('error', () => client.destroy());
        client.on('close', () => upstream.destroy());
      });
    });
    const agent = startAgent(t, relay.port, {
      env: {
        BURROW_RELAY_URL: 'http://relay.burrow.test:8080',
        HTTP_PROXY: `http://me:hunter2@127.0.0.1:${proxy}`,
      },
    });
    await relay.linked(2);
    assert.equal(String(await exchange(first(relay), app, Buffer.from('hi'))), 'hi');
    assert.match(requests[0] ?? '', /^CONNECT relay\.burrow\.test:8080 HTTP\/1\.1\r\n/);
    const credentials = Buffer.from('me:hunter2').toString('base64');
    assert.match(requests[0] ?? '', new RegExp(`proxy-authorization: Basic ${credentials}`, 'i'));
    assert.equal((await agent.event('start')).proxy, `127.0.0.1:${proxy}`);
    assert.ok(!agent.output().includes('hunter2') && !agent.output().includes(credentials));
  },
);

for (const [what, env] of [
  ['is no URL', { HTTP_PROXY: 'http://user:hunter2@[bad' }],
  ['speaks SOCKS', { ALL_PROXY: 'socks5://user:hunter2@127.0.0.1:1080' }],
] as const) {
  test(`a proxy that ${what} stops the agent with a sentence and exit code 2`, async (t) => {
    const agent = startAgent(t, 1, { env });
    assert.equal(await agent.exited, 2);
    const { level, message } = await agent.event('config');
    assert.equal(level, 'error');
    assert.match(String(message), /^HTTP_PROXY \(or ALL_PROXY\) /);
    assert.equal(agent.events.length, 1);
    assert.ok(!agent.output().includes('hunter2'));
  });
}

test('NO_PROXY is honoured', { timeout: 20_000 }, async (t) => {
  const relay = await startRelay(t);
  startAgent(t, relay.port, { env: { HTTP_PROXY: 'http://127.0.0.1:1', NO_PROXY: '127.0.0.1' } });
  await relay.linked(1);
});

test(
  'TLS: a private authority is trusted only when its file is given',
  { timeout: 20_000 },
  async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'burrow-agent-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const cert = join(folder, 'cert.pem');
    const key = join(folder, 'key.pem');
    const request = 'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2';
    const names = ['-subj', '/CN=relay', '-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost'];
    const files = ['-keyout', key, '-out', cert];
    execFileSync('openssl', [...request.split(' '), ...names, ...files], { stdio: 'ignore' });
    const tls = { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') };
    const relay = await startRelay(t, {}, { tls });
    const url = `https://localhost:${relay.port}`;
    const stranger = startAgent(t, relay.port, { env: { BURROW_RELAY_URL: url } });
    const failed = await stranger.event('dial-failed');
    assert.match(String(failed.message), /self-signed certificate/);
    assert.equal(
      stranger.events.some(({ event }) => event === 'fallback'),
      false,
    );
    const app = await startApp(t, echo);
    startAgent(t, relay.port, { env: { BURROW_RELAY_URL: url }, args: ['--ca-file', cert] });
    await relay.linked(2);
    assert.equal(String(await exchange(first(relay), app, Buffer.from('hi'))), 'hi');
  },
);
