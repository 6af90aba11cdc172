// ssh2's private parts as they are used here, between a server and a client of ssh2.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { KeyObject } from 'node:crypto';
import { test, type TestContext } from 'node:test';
import ssh2, { type ClientChannel, type Connection } from 'ssh2';
import { algorithmsFor, CLIENT_ALGORITHMS, SERVER_ALGORITHMS } from './algorithms.ts';
import { generateHostKey } from './host-key.ts';
import { globalRequest, MESSAGE, sshString } from './messages.ts';
import { disconnect, sendBanner } from './notices.ts';
import { offerAlgorithms, onMessage, sendMessage, streamOf, tune } from './raw-connection.ts';

const hostKey = generateHostKey();

interface Both {
  readonly server: Connection;
  readonly client: InstanceType<typeof ssh2.Client>;
}

/** Signed in with no credentials at all. */
async function connected(
  t: TestContext,
  onConnection: (server: Connection, software: string) => void = () => {},
  onClient: (client: Both['client']) => void = () => {},
): Promise<Both> {
  const found = Promise.withResolvers<Connection>();
  const server = new ssh2.Server(
    { hostKeys: [hostKey.privateKey], algorithms: SERVER_ALGORITHMS },
    (connection, info) => {
      connection.on('error', () => {});
      onConnection(connection, info.header.versions.software);
      connection.on('authentication', (context) => context.accept());
      connection.on('ready', () => found.resolve(connection));
    },
  );
  const sockets = new Set<Socket>();
  const listener = createServer((socket) => {
    sockets.add(socket);
    server.injectSocket(socket);
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const client = new ssh2.Client();
  client.on('error', () => {});
  client.connect({
    host: '127.0.0.1',
    port: (listener.address() as AddressInfo).port,
    username: 'ann',
    algorithms: { ...SERVER_ALGORITHMS },
  });
  onClient(client);
  t.after(() => {
    client.destroy();
    for (const socket of sockets) socket.destroy();
    listener.close();
  });
  const ready = once(client, 'ready');
  return { server: await found.promise, client: (await ready, client) };
}

const PING = Buffer.concat([
  Buffer.from([MESSAGE.GLOBAL_REQUEST]),
  sshString('ping@example.org'),
  Buffer.from([1]),
]);

test('messages are seen, taken, and sent as they are', async (t) => {
  const seen: string[] = [];
  const answered = Promise.withResolvers<Buffer>();
  const { client } = await connected(
    t,
    (server) =>
      onMessage(server, (payload) => {
        const request = globalRequest(payload);
        if (request?.name !== 'ping@example.org') return false;
        seen.push(request.name);
        sendMessage(
          server,
          Buffer.concat([Buffer.from([MESSAGE.REQUEST_SUCCESS]), sshString('pong')]),
        );
        return true;
      }),
    (connecting) =>
      onMessage(connecting, (payload) => {
        if (payload[0] !== MESSAGE.REQUEST_SUCCESS) return false;
        answered.resolve(Buffer.from(payload));
        return true;
      }),
  );
  sendMessage(client, PING);
  const answer = await answered.promise;
  assert.equal(answer.toString('latin1', 5), 'pong');
  assert.deepEqual(seen, ['ping@example.org']);
});

test('what is sent while keys are exchanged arrives after it, in order', async (t) => {
  const seen: number[] = [];
  const all = Promise.withResolvers<void>();
  const { server, client } = await connected(t, (accepted) =>
    onMessage(accepted, (payload) => {
      if (globalRequest(payload) === undefined) return false;
      seen.push(payload.at(-1) ?? -1);
      if (seen.length === 20) all.resolve();
      return true;
    }),
  );
  for (let i = 0; i < 20; i++) {
    if (i === 5) server.rekey();
    sendMessage(client, Buffer.concat([PING, Buffer.from([i])]));
  }
  await all.promise;
  assert.deepEqual(seen, [...Array(20).keys()]);
});

test('tuned connections carry bulk both ways, through key exchanges', async (t) => {
  const { server, client } = await connected(t, tune, tune);
  server.on('session', (accept) => {
    accept().on('exec', (acceptExec) => {
      const channel = acceptExec();
      channel.pipe(channel);
    });
  });
  const channel = await new Promise<ClientChannel>((resolve, reject) =>
    client.exec('echo', (error, stream) => (error ? reject(error) : resolve(stream))),
  );
  const sent = Buffer.alloc(4 << 20, 'burrow');
  const chunks: Buffer[] = [];
  channel.on('data', (chunk: Buffer) => chunks.push(chunk));
  channel.write(sent.subarray(0, 1 << 20));
  server.rekey();
  channel.end(sent.subarray(1 << 20));
  await once(channel, 'end');
  assert.ok(Buffer.concat(chunks).equals(sent));
  for (const side of [server, client]) {
    const { _cipher, _decipher } = (side as unknown as { _protocol: Record<string, object> })
      ._protocol as { _cipher: { _encKey: unknown }; _decipher: { _decipherKey: unknown } };
    assert.ok(_cipher._encKey instanceof KeyObject);
    assert.ok(_decipher._decipherKey instanceof KeyObject);
  }
});

test('a banner and the reason of a disconnect are sentences', async (t) => {
  const banner = Promise.withResolvers<string>();
  const { server, client } = await connected(
    t,
    (connection) => {
      connection.once('authentication', () => sendBanner(connection, 'Hello …\nthere'));
    },
    (connecting) => connecting.on('banner', banner.resolve),
  );
  assert.equal(await banner.promise, 'Hello ...\r\nthere\r\n');
  const payload = new Promise<Buffer>((resolve) => {
    streamOf(client).once('close', () => resolve(Buffer.alloc(0)));
  });
  disconnect(server, 'Access was taken away.');
  disconnect(server, 'Again.');
  await payload;
});

test('OpenSSH is offered GCM alone; others keep counter mode', async (t) => {
  assert.deepEqual(algorithmsFor('OpenSSH_9.2p1'), CLIENT_ALGORITHMS);
  assert.deepEqual(algorithmsFor('OpenSSH_10.0'), CLIENT_ALGORITHMS);
  assert.ok(algorithmsFor('dropbear_2022.83').hmac.includes('hmac-sha2-256'));
  assert.deepEqual(algorithmsFor('PuTTY_Release_0.83'), SERVER_ALGORITHMS);
  const negotiated = Promise.withResolvers<{ cs: { cipher: string } }>();
  await connected(
    t,
    (server, software) => {
      assert.match(software, /^ssh2js/);
      offerAlgorithms(server, { ...SERVER_ALGORITHMS, cipher: ['aes256-ctr'] });
    },
    (client) => client.on('handshake', (n) => negotiated.resolve(n as never)),
  );
  assert.equal((await negotiated.promise).cs.cipher, 'aes256-ctr');
});
