// What forwarding refuses, and how the client is told.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { run } from '@burrow/ssh/testing';
import { startServer, type TestServer } from './testing-ssh.ts';

const to = (it: TestServer): string[] => ['-p', String(it.port), 'ann@127.0.0.1'];
const wire = (it: TestServer, where: string) =>
  run('ssh', [...it.options, '-W', where, ...to(it)]).then(({ stderr }) => stderr.trim());

async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

test('ports that are not allowed, hosts that are not here, ports on which nothing listens: a sentence each', async () => {
  await using it = await startServer();
  assert.match(
    await wire(it, '127.0.0.1:25'),
    /administratively prohibited: The agent does not allow port 25: see BURROW_AGENT_ALLOW/,
  );
  assert.match(
    await wire(it, '192.0.2.1:8080'),
    /administratively prohibited: .* the workload itself only: see BURROW_AGENT_SSH_FORWARD/,
  );
  const port = await closedPort();
  assert.match(
    await wire(it, `localhost:${port}`),
    new RegExp(`connect failed: Nothing listens on port ${port} in the workload`),
  );
  assert.equal((await it.ssh(['echo on'])).stdout, 'on\n');
});

test('anywhere, when the agent says so', async () => {
  const port = await closedPort();
  await using it = await startServer({
    policy: { mayReach: () => true, mayReachPath: () => true, anywhere: true },
  });
  // Not one of the names that mean loopback, but an address of it: nothing leaves this machine.
  assert.match(await wire(it, `127.0.0.2:${port}`), /Nothing listens on port/);
});

test('of several ports to listen on, the one that cannot be had is the one that is named', async () => {
  await using it = await startServer();
  await using blocked = await listening();
  const path = join(it.folder, 'r.sock');
  const child = spawn('ssh', [
    ...it.options,
    ...['-R', `${path}:127.0.0.1:9`, '-R', '80:127.0.0.1:9', '-R', `${blocked.port}:127.0.0.1:9`],
    ...['-R', '0:127.0.0.1:9', '-R', '0:127.0.0.1:8', ...to(it), 'echo up; cat'],
  ]);
  let said = '';
  child.stderr.on('data', (chunk) => (said += String(chunk)));
  await once(child.stdout, 'data');
  assert.match(said, /remote port forwarding failed for listen port 80\b/);
  assert.match(said, new RegExp(`remote port forwarding failed for listen port ${blocked.port}`));
  assert.equal(said.match(/failed/g)?.length, 2, said);
  assert.equal(said.match(/Allocated port \d+ for remote forward/g)?.length, 2, said);
  assert.ok(existsSync(path));
  child.stdin.end();
  await once(child, 'close');
});

async function listening() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(() => resolve())),
  };
}
