import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';

import { WebSocketServer } from 'ws';

import { TunnelError } from '../errors.ts';
import { Recorder, TEST_HELLO, TEST_WELCOME } from '../testing/index.ts';
import type { Link } from '../types.ts';
import { acceptWebSocket, dialWebSocket, MAX_MESSAGE_BYTES } from './index.ts';

async function relay() {
  const server = new WebSocketServer({
    host: '127.0.0.1',
    port: 0,
    maxPayload: MAX_MESSAGE_BYTES,
    perMessageDeflate: false,
    handleProtocols: (protocols) => [...protocols][0]!,
  });
  await once(server, 'listening');
  const lost = Promise.withResolvers<TunnelError>();
  const linked = new Promise<Link>((resolve) => {
    server.on('connection', (socket, request) => {
      assert.equal(socket.protocol, 'burrow.tunnel.v1');
      void acceptWebSocket(socket, {
        welcome: () => {
          if (request.headers.authorization === 'Bearer good') return TEST_WELCOME;
          throw new TunnelError('token-revoked', 'This token was revoked.');
        },
        handler: { onChannel: () => {}, onClose: lost.resolve },
      }).then((accepted) => {
        if (accepted !== undefined) resolve(accepted.link);
      });
    });
  });
  return {
    url: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`),
    linked,
    lost: lost.promise,
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(() => resolve())),
  };
}

test('the same frames travel over a WebSocket', async () => {
  await using server = await relay();
  const far = new Recorder();
  const { link: agent } = await dialWebSocket({
    url: server.url,
    token: 'good',
    hello: TEST_HELLO,
    handler: {
      onChannel: (channel) => {
        far.channel = channel;
        channel.setHandler(far);
        channel.accept();
      },
      onClose: () => {},
    },
    signal: AbortSignal.timeout(5_000),
  });
  const link = await server.linked;
  const near = new Recorder();
  const channel = link.open(
    { target: { kind: 'tcp', port: 80 }, principal: { userId: 'u', username: 'n' } },
    near,
  );
  near.channel = channel;
  for (let i = 0; i < 20; i++) channel.write(Buffer.alloc(100_000, i));
  channel.end();
  await far.until((r) => r.ended);
  assert.equal(far.bytes, 2_000_000);
  agent.close(new TunnelError('draining', 'The agent stops.'));
  const error = await server.lost;
  assert.deepEqual(
    [error.code, error.message, error.remote],
    ['draining', 'The agent stops.', true],
  );
});

test('a link refused over a WebSocket says why', async () => {
  await using server = await relay();
  await assert.rejects(
    dialWebSocket({
      url: server.url,
      token: 'bad',
      hello: TEST_HELLO,
      handler: { onChannel: () => {}, onClose: () => {} },
      signal: AbortSignal.timeout(5_000),
    }),
    {
      name: 'TunnelError',
      code: 'token-revoked',
      message: 'This token was revoked.',
      remote: true,
    },
  );
});
