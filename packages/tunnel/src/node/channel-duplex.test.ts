import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { test } from 'node:test';

import { linkPair } from '../testing/index.ts';
import type { Channel } from '../types.ts';
import { channelToDuplex } from './index.ts';

const OPTIONS = {
  target: { kind: 'tcp', port: 80 },
  principal: { userId: 'u', username: 'n' },
} as const;

async function duplexes() {
  const incoming = Promise.withResolvers<Channel>();
  const { acceptor, dialler } = await linkPair({
    dialler: {
      onChannel: (channel) => {
        channel.accept();
        incoming.resolve(channel);
      },
      onClose: () => {},
    },
  });
  const near = channelToDuplex(
    acceptor.open(OPTIONS, { onData: () => {}, onEnd: () => {}, onClose: () => {} }),
  );
  return { near, far: incoming.promise.then(channelToDuplex), acceptor, dialler };
}

test('a channel is a stream: bytes, back-pressure and half-close', async () => {
  const { near, far } = await duplexes();
  const bytes = randomBytes(5_000_000);
  near.end(bytes);
  const other = await far;
  // Echo, slower than it could be.
  void pipeline(other, other);
  assert.ok((await buffer(near)).equals(bytes));
});

test('destroying the stream resets the channel, and the other side is told why', async () => {
  const { near, far, acceptor } = await duplexes();
  near.write('x');
  const other = await far;
  const failed = once(other, 'error');
  near.on('error', () => {});
  near.destroy(new Error('The browser went away.'));
  const [error] = await failed;
  assert.equal(error.code, 'cancelled');
  assert.equal(error.message, 'The browser went away.');
  assert.equal(acceptor.stats.channels, 0);
});
