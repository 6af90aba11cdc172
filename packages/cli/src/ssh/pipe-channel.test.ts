import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { PassThrough, Writable } from 'node:stream';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { TunnelError } from '@burrow/tunnel';
import { linkPair, Recorder } from '@burrow/tunnel/testing';
import { pipeChannel } from './pipe-channel.ts';

const OPEN = {
  target: { kind: 'tcp', port: 22 },
  principal: { userId: '', username: '' },
} as const;

async function piped(output: Writable = new PassThrough()) {
  const far = new Recorder();
  const { dialler } = await linkPair({
    acceptor: {
      onChannel(channel) {
        far.channel = channel;
        channel.setHandler(far);
        channel.accept();
      },
      onClose() {},
    },
  });
  const input = new PassThrough();
  const end = pipeChannel(dialler, OPEN, { input, output });
  while (far.channel === undefined) await turn();
  return { far, channel: far.channel, input, output, end, link: dialler };
}

test('bytes pass both ways, and each way ends by itself', async () => {
  const output = new PassThrough();
  const { far, channel, input, end } = await piped(output);
  const [up, down] = [randomBytes(1_000_000), randomBytes(2_000_000)];
  input.end(up);
  await far.until((r) => r.ended);
  assert.ok(far.received.equals(up));
  channel.write(down);
  channel.end();
  const got: Buffer[] = [];
  for await (const chunk of output) got.push(chunk as Buffer);
  assert.ok(Buffer.concat(got).equals(down));
  assert.deepEqual(await end, { kind: 'in-order' });
});

test('a reader that stops holds the sender back; it ends when the last byte is written out', async () => {
  let go = (): void => {};
  let written = 0;
  const output = new Writable({
    highWaterMark: 1,
    write(chunk: Buffer, _encoding, done) {
      written += chunk.length;
      go = done;
    },
  });
  const { channel, end, input } = await piped(output);
  for (let i = 0; i < 40; i++) channel.write(Buffer.alloc(65_536));
  channel.end();
  input.end();
  for (let i = 0; i < 300; i++) await turn();
  assert.ok(channel.queuedBytes > 0, 'all of it was taken though nobody reads');
  let ended = false;
  void end.then(() => (ended = true));
  while (written < 40 * 65_536) {
    assert.equal(ended, false);
    go();
    await turn();
  }
  go();
  assert.deepEqual(await end, { kind: 'in-order' });
});

test('a writer faster than the link is held back', async () => {
  const { far, input, link } = await piped();
  far.reading = false;
  let accepted = 0;
  for (let i = 0; i < 400; i++) {
    if (input.write(Buffer.alloc(65_536))) accepted += 1;
    await turn();
  }
  assert.ok(link.stats.queuedBytes <= 512 * 1024, `${link.stats.queuedBytes} bytes queued`);
  assert.ok(accepted < 50, `${accepted} writes were taken without complaint`);
});

test('a channel that is cut tells why, and a reader that is gone ends it', async () => {
  const cut = await piped();
  cut.channel.reset('revoked', 'Taken away.');
  const end = await cut.end;
  assert.ok(end.kind === 'failed');
  assert.deepEqual([end.error.code, end.error.message], ['revoked', 'Taken away.']);

  const broken = new Writable({ write: (_chunk, _encoding, done) => done(new Error('EPIPE')) });
  const gone = await piped(broken);
  gone.channel.write(Buffer.from('x'));
  assert.deepEqual(await gone.end, { kind: 'reader-gone' });
  await gone.far.until((r) => r.closed);

  const lost = await piped();
  lost.link.close(new TunnelError('link-silent', 'The relay has been silent.'));
  const why = await lost.end;
  assert.equal(why.kind === 'failed' && why.error.code, 'link-silent');
});
