import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { createResumer, TunnelError, type Channel, type Link } from '@burrow/tunnel';
import { linkPair, Recorder } from '@burrow/tunnel/testing';
import { CliError, EXIT } from '../cli-error.ts';
import { Forwarder, type Links } from './forwarder.ts';

const MAPPING = { local: 0, remote: 5432 };

/** A forwarder on a real port, and a far end that records. */
async function stand(t: TestContext, usable?: (real: Link) => Promise<Link>, patienceMs?: number) {
  const far: Recorder[] = [];
  const onChannel = { accept: (channel: Channel): void => channel.accept() };
  const { dialler, acceptor } = await linkPair({
    acceptor: {
      onChannel(channel) {
        const recorder = new Recorder();
        recorder.channel = channel;
        channel.setHandler(recorder);
        far.push(recorder);
        onChannel.accept(channel);
      },
      onClose() {},
    },
  });
  const links: Links = {
    resumer: createResumer({ findLink: async () => undefined, windowMs: 50 }),
    usable: () => (usable === undefined ? Promise.resolve(dialler) : usable(dialler)),
  };
  const failed: string[] = [];
  const fatal: CliError[] = [];
  const forwarder = new Forwarder({
    links,
    workspace: 'demo',
    onFailed: ({ remote }, message) => failed.push(`${remote}: ${message}`),
    onFatal: (error) => fatal.push(error),
    ...(patienceMs === undefined ? {} : { patienceMs }),
  });
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) =>
    forwarder.take(socket, MAPPING),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const sockets: Socket[] = [];
  t.after(() => {
    forwarder.stop();
    forwarder.stop();
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const dial = (): Socket => {
    const { port } = server.address() as AddressInfo;
    const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
    sockets.push(socket);
    return socket;
  };
  const arrived = async (count = 1): Promise<Recorder> => {
    for (let i = 0; far.length < count; i++) {
      assert.ok(i < 500, 'no channel came');
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return far[count - 1]!;
  };
  return { forwarder, far, failed, fatal, dial, arrived, dialler, acceptor, onChannel };
}

/** `ECONNRESET`, or `ended`. */
function endOf(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    socket.once('end', () => resolve('ended'));
    socket.resume();
  });
}

test('a connection is a channel to the port, and each way ends by itself', async (t) => {
  const here = await stand(t);
  const socket = here.dial();
  const up = randomBytes(1_000_000);
  socket.end(up);
  const far = await here.arrived();
  assert.deepEqual(far.channel?.target, { kind: 'tcp', port: 5432 });
  assert.equal(far.channel.workload, 'demo');
  await far.until((r) => r.ended);
  assert.ok(far.received.equals(up));
  const down = randomBytes(2_000_000);
  far.channel.write(down);
  far.channel.end();
  const got: Buffer[] = [];
  for await (const chunk of socket) got.push(chunk as Buffer);
  assert.ok(Buffer.concat(got).equals(down));
  await far.until((r) => r.closed);
  assert.equal(far.error, undefined);
  assert.deepEqual(here.failed, []);
});

test('a local program that does not read holds the workload back', async (t) => {
  const here = await stand(t);
  const socket = here.dial().pause();
  const far = await here.arrived();
  const { channel } = far;
  const total = 32 * 1024 * 1024;
  for (let at = 0; at < total; at += 65_536) channel!.write(Buffer.alloc(65_536));
  channel!.end();
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.ok(channel!.queuedBytes > 0, 'all of it was taken though nobody reads');
  let got = 0;
  for await (const chunk of socket) got += (chunk as Buffer).length;
  assert.equal(got, total);
});

test('a workload that does not read holds the local program back', async (t) => {
  const here = await stand(t);
  const socket = here.dial();
  const far = await here.arrived();
  far.reading = false;
  for (let i = 0; i < 512; i++) socket.write(Buffer.alloc(65_536));
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.ok(here.dialler.stats.queuedBytes <= 512 * 1024);
  assert.ok(socket.writableLength > 0, 'all of it was taken though nobody reads');
});

test('a refusal is said once and resets the socket; the app’s own reset is passed on without a word', async (t) => {
  const here = await stand(t);
  here.onChannel.accept = (channel) => channel.reset('nothing-listens', 'Nothing listens there.');
  assert.equal(await endOf(here.dial()), 'ECONNRESET');
  assert.deepEqual(here.failed, ['5432: Nothing listens there.']);
  here.onChannel.accept = (channel) => channel.accept();
  const ends = endOf(here.dial());
  (await here.arrived(2)).channel!.reset(
    'target-closed',
    'The app closed the connection abruptly.',
  );
  assert.equal(await ends, 'ECONNRESET');
  assert.equal(here.failed.length, 1);
});

test('a local program that breaks off resets the channel', async (t) => {
  const here = await stand(t);
  const socket = here.dial();
  const far = await here.arrived();
  socket.write('half');
  await far.until((r) => r.bytes === 4);
  socket.resetAndDestroy();
  await far.until((r) => r.closed);
  assert.equal(far.error?.code, 'cancelled');
});

test('a link that is not there is waited for, and then said', async (t) => {
  let tries = 0;
  const away = new CliError('The relay cannot be reached.', EXIT.unreachable);
  const soon = await stand(t, (link) => {
    tries += 1;
    return tries < 3 ? Promise.reject(away) : Promise.resolve(link);
  });
  soon.dial();
  await soon.arrived();
  assert.deepEqual([tries, soon.failed], [3, []]);
  const never = await stand(t, () => Promise.reject(away), 150);
  assert.equal(await endOf(never.dial()), 'ECONNRESET');
  assert.deepEqual(never.failed, ['5432: The relay cannot be reached.']);
});

test('a relay that begins to drain just then is left for another', async (t) => {
  let tries = 0;
  const here = await stand(t, (link) => {
    tries += 1;
    if (tries > 1) return Promise.resolve(link);
    const open = (): never => {
      throw new TunnelError('draining', 'The link is draining.');
    };
    return Promise.resolve({ open } as unknown as Link);
  });
  here.dial();
  await here.arrived();
  assert.deepEqual(here.failed, []);
});

test('a token that is refused ends all of it', async (t) => {
  const here = await stand(t, () => Promise.reject(new CliError('Sign in.', EXIT.notSignedIn)));
  assert.equal(await endOf(here.dial()), 'ECONNRESET');
  assert.deepEqual(
    here.fatal.map((error) => error.message),
    ['Sign in.'],
  );
});

test('stopping resets what is open, says nothing, and takes nothing new', async (t) => {
  const here = await stand(t);
  const ends = endOf(here.dial());
  await here.arrived();
  here.forwarder.stop();
  assert.equal(await ends, 'ECONNRESET');
  assert.equal(await endOf(here.dial()), 'ECONNRESET');
  assert.deepEqual(here.failed, []);
});
