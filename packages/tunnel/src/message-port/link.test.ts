import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { MessageChannel } from 'node:worker_threads';

import { TunnelError } from '../errors.ts';
import { Recorder, TEST_HELLO, TEST_WELCOME } from '../testing/index.ts';
import { acceptPort, dialPort } from './index.ts';

const noChannels = { onChannel: () => assert.fail('no channel was expected') };

async function threads() {
  const { port1, port2 } = new MessageChannel();
  const near = Promise.withResolvers<TunnelError>();
  const far = Promise.withResolvers<TunnelError>();
  const target = new Recorder();
  const accepted = acceptPort(port2, {
    welcome: () => TEST_WELCOME,
    handler: {
      onChannel: (channel) => {
        target.channel = channel;
        channel.setHandler(target);
        channel.accept();
      },
      onClose: far.resolve,
    },
  });
  const { link } = await dialPort(port1, {
    hello: TEST_HELLO,
    handler: { ...noChannels, onClose: near.resolve },
    signal: AbortSignal.timeout(5_000),
  });
  return { link, acceptor: (await accepted)!.link, target, near: near.promise, far: far.promise };
}

test('bytes cross between threads, both ways, in order', async () => {
  const { link, target, far } = await threads();
  const opener = new Recorder();
  const channel = link.open(
    {
      target: { kind: 'ssh', authorizedKeys: [`SHA256:${'A'.repeat(43)}`] },
      principal: { userId: '1', username: 'ann' },
      workload: 'demo',
    },
    opener,
  );
  opener.channel = channel;
  const sent = randomBytes(3_000_000);
  // A slice of a larger buffer, as sockets give them: the rest of it stays usable.
  const around = Buffer.concat([Buffer.from('before'), sent, Buffer.from('after')]);
  channel.write(around.subarray(6, 6 + sent.length));
  channel.end();
  await target.until(({ ended }) => ended);
  assert.ok(target.received.equals(sent));
  assert.equal(around.subarray(-5).toString(), 'after');
  assert.equal(target.channel?.workload, 'demo');
  assert.deepEqual(target.channel?.target, {
    kind: 'ssh',
    authorizedKeys: [`SHA256:${'A'.repeat(43)}`],
  });
  target.channel?.write(Buffer.from('back'));
  target.channel?.end();
  await opener.until(({ closed }) => closed);
  assert.equal(opener.received.toString(), 'back');
  link.close(new TunnelError('cancelled', 'Done.'));
  assert.equal((await far).message, 'Done.');
});

test('the reason of the end reaches the other thread, and its channels', async () => {
  const { link, acceptor, near } = await threads();
  const opener = new Recorder();
  opener.channel = link.open(
    { target: { kind: 'tcp', port: 80 }, principal: { userId: '1', username: 'ann' } },
    opener,
  );
  acceptor.close(new TunnelError('draining', 'The relay shuts down.'));
  const error = await near;
  assert.equal(error.code, 'draining');
  assert.ok(error.remote);
  await opener.until(({ closed }) => closed);
});

test('a thread that dies ends the link', async () => {
  const { port1, port2 } = new MessageChannel();
  const accepted = acceptPort(port2, {
    welcome: () => TEST_WELCOME,
    handler: { ...noChannels, onClose: () => {} },
  });
  const lost = Promise.withResolvers<TunnelError>();
  await dialPort(port1, {
    hello: TEST_HELLO,
    handler: { ...noChannels, onClose: lost.resolve },
    signal: AbortSignal.timeout(5_000),
  });
  await accepted;
  port2.close();
  assert.equal((await lost.promise).code, 'link-lost');
});
