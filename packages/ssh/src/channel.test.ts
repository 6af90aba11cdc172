import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';
import ssh2, { type ClientChannel, type Connection, type ServerChannel } from 'ssh2';
import { keepHalfOpen, mendOutput, onEndOfWrite, OPEN_FAILURE, refuseChannel } from './channel.ts';
import { generateHostKey } from './host-key.ts';
import { MESSAGE, sshString, uint32 } from './messages.ts';
import { sendMessage } from './raw-connection.ts';

/** A client that is signed in at a server of ssh2's, which `serve` set up. */
async function pair(serve: (connection: Connection) => void) {
  const server = new ssh2.Server({ hostKeys: [generateHostKey().privateKey] }, (connection) => {
    connection.on('error', () => {});
    connection.on('authentication', (context) => context.accept());
    serve(connection);
  });
  const front = createServer((socket) => server.injectSocket(socket)).listen(0, '127.0.0.1');
  await once(front, 'listening');
  const client = new ssh2.Client();
  const { port } = front.address() as AddressInfo;
  client.connect({ host: '127.0.0.1', port, username: 'x' });
  await once(client, 'ready');
  return {
    client,
    exec: () =>
      new Promise<ClientChannel>((resolve, reject) =>
        client.exec('x', (error, channel) => (error ? reject(error) : resolve(channel))),
      ),
    forward: () =>
      new Promise<ClientChannel>((resolve, reject) =>
        client.forwardOut('127.0.0.1', 1, 'there', 2, (error, channel) =>
          error ? reject(error) : resolve(channel),
        ),
      ),
    async [Symbol.asyncDispose]() {
      client.end();
      front.close();
      await once(front, 'close');
    },
  };
}

function onExec(connection: Connection, serve: (channel: ServerChannel) => void): void {
  connection.on('session', (accept) =>
    accept().on('exec', (acceptExec) => {
      const channel = acceptExec();
      mendOutput(channel);
      serve(channel);
    }),
  );
}

test('both outputs wait for the window: each arrives whole, once', async () => {
  await using it = await pair((connection) =>
    onExec(connection, (channel) => {
      channel.stderr.end(Buffer.alloc(7_000_000, 'e'), () => channel.end());
      for (let i = 0; i < 7; i++) channel.write(Buffer.alloc(1_000_000, 'o'));
    }),
  );
  const channel = await it.exec();
  const [out, error] = await Promise.all([buffer(channel), buffer(channel.stderr)]);
  assert.ok(out.equals(Buffer.alloc(7_000_000, 'o')));
  assert.ok(error.equals(Buffer.alloc(7_000_000, 'e')));
});

test('writing to what the client has closed is no fault', async () => {
  let served: ServerChannel | undefined;
  await using it = await pair((connection) => onExec(connection, (channel) => (served = channel)));
  const channel = await it.exec();
  channel.resume().stderr.resume();
  channel.close();
  await once(channel, 'close');
  served?.write('x');
  served?.stderr.write('x');
  // An error event without a listener would end the process before this.
  await new Promise((resolve) => setImmediate(resolve));
});

test('a forwarded channel is closed once both sides have ended', async () => {
  const heard = Promise.withResolvers<Buffer>();
  await using it = await pair((connection) =>
    connection.on('tcpip', (accept) => {
      const channel = accept();
      keepHalfOpen(channel);
      channel.end('first');
      heard.resolve(untilEnd(channel));
    }),
  );
  const channel = await it.forward();
  channel.allowHalfOpen = true;
  assert.equal(String(await untilEnd(channel)), 'first');
  channel.end('then');
  assert.equal(String(await heard.promise), 'then');
  await once(channel, 'close');
});

/** Not by iterating, as `buffer` does: at its end that destroys a channel whose other half is still to be used. */
async function untilEnd(channel: Duplex): Promise<Buffer> {
  const pieces: Buffer[] = [];
  channel.on('data', (piece: Buffer) => pieces.push(piece));
  await once(channel, 'end');
  return Buffer.concat(pieces);
}

test('a refusal says why, and only that one', async () => {
  let refused = 0;
  await using it = await pair((connection) =>
    connection.on('tcpip', (_accept, reject) => {
      refused += 1;
      if (refused > 1) return reject();
      refuseChannel(connection, reject, OPEN_FAILURE.NOT_ALLOWED, 'Not on a Sunday');
    }),
  );
  await assert.rejects(it.forward(), { message: /Not on a Sunday/, reason: 1 });
  await assert.rejects(it.forward(), { message: /failure: $/ });
});

test('a client that takes no more is heard of, for its channel alone', async () => {
  const done: string[] = [];
  await using it = await pair((connection) => {
    const endOfWrite = onEndOfWrite(connection);
    onExec(connection, (channel) => {
      const name = `channel ${done.length}`;
      done.push(`${name} open`);
      endOfWrite(channel, () => {
        done.push(`${name} ended`);
        channel.end();
      });
    });
  });
  const [, second] = [await it.exec(), await it.exec()];
  const { outgoing } = second as unknown as { outgoing: { id: number } };
  sendMessage(
    it.client,
    Buffer.concat([
      Buffer.from([MESSAGE.CHANNEL_REQUEST]),
      uint32(outgoing.id),
      sshString('eow@openssh.com'),
      Buffer.from([0]),
    ]),
  );
  second.resume().stderr.resume();
  await once(second, 'close');
  assert.deepEqual(done, ['channel 0 open', 'channel 1 open', 'channel 1 ended']);
});
