// Behind a balancer that speaks the PROXY protocol: whose address counts and is written down.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { run } from '@burrow/ssh/testing';
import { baseOptions, startGateway, type TestGateway } from './testing/gateway.ts';

const behindProxy = (trustedProxies: readonly string[]): Promise<TestGateway> =>
  startGateway({}, { proxyProtocol: true, trustedProxies });

/** A balancer in front of the gateway that sends these bytes first, in pieces. */
async function balancer(to: number, header: Buffer): Promise<AsyncDisposable & { port: number }> {
  const server = createServer((socket) => {
    const out = connect(to, '127.0.0.1');
    out.setNoDelay(true);
    const half = header.length >> 1;
    out.write(header.subarray(0, half));
    setTimeout(() => {
      out.write(header.subarray(half));
      socket.pipe(out).pipe(socket);
    }, 30);
    for (const each of [socket, out]) each.on('error', () => {});
    socket.on('close', () => out.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.close();
    },
  };
}

const V2 = Buffer.concat([
  Buffer.from('0d0a0d0a000d0a515549540a', 'hex'),
  Buffer.from([0x21, 0x11, 0, 12, 198, 51, 100, 9, 127, 0, 0, 1, 0x12, 0x34, 0, 22]),
]);

for (const [version, header, address] of [
  ['1', Buffer.from('PROXY TCP4 203.0.113.9 127.0.0.1 4000 22\r\n'), '203.0.113.9'],
  ['2', V2, '198.51.100.9'],
] as const) {
  test(`version ${version}: the client's address is the one that the header names`, async () => {
    await using it = await behindProxy(['loopback']);
    await using line = await balancer(it.port, header);
    const ran = await run('ssh', [
      ...baseOptions(join(it.folder, 'known_hosts'), it.identity),
      ...['-o', `HostKeyAlias=[127.0.0.1]:${it.port}`, '-p', String(line.port)],
      ...['demo@127.0.0.1', 'echo in'],
    ]);
    assert.deepEqual([ran.code, ran.stdout], [0, 'in\n'], ran.stderr);
    assert.deepEqual([...new Set(it.events.map((event) => event.address))], [address]);
  });
}

test('a trusted proxy without a header, and one with nonsense, are hung up on', async () => {
  await using it = await behindProxy(['loopback']);
  for (const text of ['SSH-2.0-OpenSSH_9.2\r\n', 'PROXY TCP4 x y 1 2\r\n']) {
    const socket = connect(it.port, '127.0.0.1');
    socket.on('error', () => {});
    let said = '';
    socket.on('data', (chunk) => (said += chunk.toString()));
    socket.write(text);
    await once(socket, 'close');
    assert.equal(said, '');
  }
});

test('from others no header is expected', async () => {
  await using it = await behindProxy(['192.0.2.0/24']);
  const direct = await it.ssh('demo', ['echo in']);
  assert.equal(direct.stdout, 'in\n', direct.stderr);
  assert.ok(it.events.every(({ address }) => address === '127.0.0.1'));
});
