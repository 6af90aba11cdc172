import assert from 'node:assert/strict';
import { createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';

import { TunnelError } from '../errors.ts';
import { TEST_HELLO, TEST_WELCOME } from '../testing/index.ts';
import type { Channel, ChannelHandler, Link, LinkHandler } from '../types.ts';
import { acceptGrpc, dialGrpc, GRPC_SERVER_OPTIONS, refuseGrpc } from './index.ts';

const echo: LinkHandler = {
  onChannel: (channel) => {
    channel.setHandler(echoHandler(channel));
    channel.accept();
  },
  onClose: () => {},
};

function echoHandler(channel: Channel): ChannelHandler {
  let held = 0;
  return {
    onData: (chunk) => {
      if (channel.write(chunk)) channel.consumed(chunk.length);
      else held += chunk.length;
    },
    onWritable: () => {
      channel.consumed(held);
      held = 0;
    },
    onEnd: () => channel.end(),
    onClose: () => {},
  };
}

async function relay(
  onLink: (link: Link) => void,
): Promise<{ url: URL; [Symbol.asyncDispose](): Promise<void> }> {
  const server = createServer(GRPC_SERVER_OPTIONS);
  server.on('stream', (stream, headers) => {
    if (headers.authorization !== 'Bearer good') {
      return refuseGrpc(stream, new TunnelError('token-unknown', 'No such token; 100% sure.'));
    }
    void acceptGrpc(stream, headers, {
      welcome: () => TEST_WELCOME,
      handler: { onChannel: (channel) => channel.reset('unsupported', 'no'), onClose: () => {} },
    }).then((accepted) => {
      if (accepted !== undefined) onLink(accepted.link);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: new URL(`http://127.0.0.1:${port}`),
    [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

test('bytes go there and back over gRPC, whole and in order', async () => {
  let onLink!: (link: Link) => void;
  const linked = new Promise<Link>((resolve) => (onLink = resolve));
  await using server = await relay(onLink);
  const { link: agent, welcome } = await dialGrpc({
    url: server.url,
    token: 'good',
    hello: TEST_HELLO,
    handler: echo,
    signal: AbortSignal.timeout(5_000),
  });
  assert.equal(welcome.workload, 'demo');
  const link = await linked;
  const total = 64 * 1024 * 1024;
  const piece = Buffer.alloc(100_000, 'x');
  for (let i = 0; i < piece.length; i++) piece[i] = i % 251;
  let written = 0;
  let got = 0;
  const started = performance.now();
  await new Promise<void>((resolve, reject) => {
    const channel = link.open(
      { target: { kind: 'tcp', port: 3000 }, principal: { userId: 'u', username: 'ann' } },
      {
        onData: (chunk) => {
          for (let i = 0; i < chunk.length; i += 997) {
            if (chunk[i] !== ((got + i) % piece.length) % 251)
              return reject(new Error(`wrong byte at ${got + i}`));
          }
          got += chunk.length;
          channel.consumed(chunk.length);
        },
        onWritable: pump,
        onEnd: () => {},
        onClose: (error) => (error === undefined ? resolve() : reject(error)),
      },
    );
    function pump(): void {
      while (written < total) {
        const part = piece.subarray(0, Math.min(piece.length, total - written));
        written += part.length;
        if (!channel.write(part)) return;
      }
      channel.end();
    }
    pump();
  });
  assert.equal(got, total);
  console.log(`${Math.round(total / 1e3 / (performance.now() - started))} MB/s both ways`);
  agent.close(new TunnelError('cancelled', 'done'));
});

test('a refused link says why', async () => {
  await using server = await relay(() => {});
  await assert.rejects(
    dialGrpc({
      url: server.url,
      token: 'bad',
      hello: TEST_HELLO,
      handler: echo,
      signal: AbortSignal.timeout(5_000),
    }),
    (error) =>
      error instanceof TunnelError &&
      error.code === 'token-unknown' &&
      error.message === 'No such token; 100% sure.' &&
      error.remote,
  );
});
