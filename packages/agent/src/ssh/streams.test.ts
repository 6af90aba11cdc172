// What flows through sessions and forwards: nothing is lost, repeated or cut short.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { statSync } from 'node:fs';
import { connect, createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { startServer } from './testing-ssh.ts';

test('all of standard error arrives, also when it comes last', async () => {
  await using it = await startServer();
  const ran = await it.ssh(['head -c 20000000 /dev/zero | tr "\\0" e >&2']);
  assert.equal(ran.code, 0);
  assert.equal(ran.stderr.length, 20_000_000);
});

test('much on both outputs at once: neither stalls, nothing is repeated', async () => {
  await using it = await startServer();
  const ran = await it.ssh([
    'head -c 12000000 /dev/zero | tr "\\0" o & head -c 12000000 /dev/zero | tr "\\0" e >&2; wait',
  ]);
  assert.equal(ran.code, 0);
  assert.equal(ran.stdout.length, 12_000_000);
  assert.equal(ran.stderr.length, 12_000_000);
  assert.doesNotMatch(ran.stdout, /[^o]/);
  assert.doesNotMatch(ran.stderr, /[^e]/);
});

test('a forwarded app that has said everything still hears the rest', async () => {
  await using it = await startServer();
  let heard = 0;
  let heardAll = (): void => {};
  const done = new Promise<void>((resolve) => (heardAll = resolve));
  const app = createServer({ allowHalfOpen: true }, (socket) => {
    socket.end('all I have to say');
    socket.on('data', (chunk) => (heard += chunk.length)).on('end', () => heardAll());
  });
  app.listen(0, '127.0.0.1');
  await once(app, 'listening');
  const { port } = app.address() as AddressInfo;
  const local = await freePort();
  const child = spawn('ssh', [
    ...it.options,
    ...['-L', `${local}:127.0.0.1:${port}`],
    ...['-p', String(it.port), 'ann@127.0.0.1', 'echo up; cat'],
  ]);
  await once(child.stdout, 'data');
  const client = connect({ port: local, host: '127.0.0.1', allowHalfOpen: true });
  let said = '';
  client.on('data', (chunk) => (said += String(chunk)));
  // Not by iterating: at its end that destroys the socket, whose other half is still to be used.
  await once(client, 'end');
  assert.equal(said, 'all I have to say');
  client.end(Buffer.alloc(3_000_000));
  await once(client, 'close');
  await done;
  child.stdin.end();
  await once(child, 'close');
  app.close();
  assert.equal(heard, 3_000_000);
});

test('a socket that listens for the client is for the agent’s user alone', async () => {
  await using it = await startServer();
  const path = join(it.folder, 'listening.sock');
  const child = spawn('ssh', [
    ...it.options,
    ...['-o', 'ExitOnForwardFailure=yes', '-R', `${path}:127.0.0.1:9`],
    ...['-p', String(it.port), 'ann@127.0.0.1', 'echo up; cat'],
  ]);
  await once(child.stdout, 'data');
  assert.equal(statSync(path).mode & 0o777, 0o600);
  child.stdin.end();
  await once(child, 'close');
});

test('who never says anything is let go', async () => {
  await using it = await startServer({ signInMs: 200 });
  const socket = connect(it.port, '127.0.0.1');
  socket.resume();
  await once(socket, 'close', { signal: AbortSignal.timeout(5000) });
  assert.equal(it.open, 0);
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}
