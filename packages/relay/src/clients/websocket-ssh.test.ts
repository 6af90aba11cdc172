import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { TunnelError } from '@burrow/tunnel';
import { WebSocket } from 'ws';
import { closeOf } from './close-codes.ts';
import { ANNS_KEY, ANNS_TOKEN, BOBS_TOKEN, clientsStand, type ClientsStand } from './testing.ts';

const NAMED = `SHA256:${'+/'.repeat(21)}A`;

async function webStand(t: TestContext, over: Parameters<typeof clientsStand>[0] = {}) {
  const stand = clientsStand(over);
  await stand.connectAgent();
  const server = createServer((_request, response) => response.writeHead(404).end());
  server.on('upgrade', (request, socket, head) => {
    if (!stand.clients.handleUpgrade(request, socket, head)) socket.end('HTTP/1.1 404 x\r\n\r\n');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    stand.clients.stop();
    server.closeAllConnections();
    server.close();
  });
  const dial = (path: string, token = ANNS_TOKEN, protocols: string[] = []): WebSocket => {
    const { port } = server.address() as AddressInfo;
    const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, protocols, {
      headers: { authorization: `Bearer ${token}` },
    });
    t.after(() => socket.terminate());
    return socket;
  };
  return { ...stand, dial };
}

const SSH = '/api/v1/workspaces/demo/ssh';

async function arrived(stand: Pick<ClientsStand, 'atAgent'>) {
  for (let i = 0; stand.atAgent.length === 0; i++) {
    assert.ok(i < 500, 'no channel came');
    await delay(5);
  }
  return stand.atAgent[0]!;
}

async function ended(socket: WebSocket): Promise<[number, string]> {
  const [code, reason] = (await once(socket, 'close')) as [number, Buffer];
  return [code, reason.toString()];
}

test('a key may be named as it is, the subprotocol is optional, and it ends with the channel', async (t) => {
  const stand = await webStand(t);
  const socket = stand.dial(`${SSH}?key=${NAMED}`, ANNS_TOKEN, ['burrow.ssh']);
  await once(socket, 'open');
  assert.equal(socket.protocol, 'burrow.ssh');
  const far = await arrived(stand);
  assert.deepEqual(far.channel?.target, { kind: 'ssh', authorizedKeys: [NAMED, ANNS_KEY] });
  assert.deepEqual(far.channel.principal, { userId: 'u-ann', username: 'ann' });
  socket.send(Buffer.from('SSH-2.0-x'));
  await far.until((r) => r.bytes > 0);
  far.channel.write(Buffer.from('SSH-2.0-y'));
  far.channel.end();
  const [data] = (await once(socket, 'message')) as [Buffer];
  assert.equal(data.toString(), 'SSH-2.0-y');
  assert.deepEqual(await ended(socket), [1000, '']);
  assert.equal(stand.events[0]?.detail, 'end to end, over a WebSocket');
});

test('back-pressure both ways: a side that does not read holds the other back, and nothing is lost', async (t) => {
  const stand = await webStand(t);
  const socket = stand.dial(SSH);
  await once(socket, 'open');
  const far = await arrived(stand);
  far.reading = false;
  const up = randomBytes(24_000_000);
  for (let at = 0; at < up.length; at += 100_000) socket.send(up.subarray(at, at + 100_000));
  await delay(200);
  assert.ok(far.bytes <= 300_000, `${far.bytes} bytes came unread`);
  assert.ok(socket.bufferedAmount > 0, 'all of it was taken');
  far.reading = true;
  far.channel!.consumed(far.bytes);
  await far.until((r) => r.bytes === up.length);
  assert.ok(far.received.equals(up));

  socket.pause();
  const down = randomBytes(24_000_000);
  for (let at = 0; at < down.length; at += 100_000)
    far.channel!.write(down.subarray(at, at + 100_000));
  far.channel!.end();
  await delay(200);
  assert.ok(far.channel!.queuedBytes > 0, 'all of it was taken');
  const got: Buffer[] = [];
  socket.on('message', (chunk: Buffer) => got.push(chunk));
  socket.resume();
  assert.deepEqual(await ended(socket), [1000, '']);
  assert.ok(Buffer.concat(got).equals(down));
});

test('what a client sent before it left still arrives', async (t) => {
  const stand = await webStand(t);
  const socket = stand.dial(SSH);
  await once(socket, 'open');
  const far = await arrived(stand);
  socket.send(Buffer.alloc(200_000));
  socket.close();
  await far.until((r) => r.ended);
  assert.equal(far.bytes, 200_000);
});

test('a client that is silent is cut, and one that answers pings is not', async (t) => {
  const stand = await webStand(t, { limits: { keepAliveMs: 40 } });
  const alive = stand.dial(SSH);
  await once(alive, 'open');
  const far = await arrived(stand);
  await delay(300);
  assert.equal(alive.readyState, WebSocket.OPEN);
  // Its network is gone: nothing is read, so no ping is answered.
  alive.pause();
  await far.until((r) => r.closed);
  assert.equal(far.error?.code, 'timed-out');
});

test('refusals, cuts and the relay’s end are codes with sentences', async (t) => {
  const stand = await webStand(t, { limits: { linksPerPerson: 1 } });
  assert.match(
    (await ended(stand.dial(SSH, BOBS_TOKEN))).join(' '),
    /^4404 There is no workspace “demo”/,
  );
  assert.equal((await ended(stand.dial(SSH, 'burrow_pat_x')))[0], 4401);
  assert.equal((await ended(stand.dial(`${SSH}?key=MD5:00`)))[0], 4400);
  assert.equal((await ended(stand.dial('/api/v1/workspaces/stopped/ssh')))[0], 4503);
  const socket = stand.dial(SSH);
  await once(socket, 'open');
  await arrived(stand);
  assert.equal((await ended(stand.dial(SSH)))[0], 4429);
  stand.tokens.delete(ANNS_TOKEN);
  assert.equal((await ended(socket))[0], 4401);
  assert.equal(stand.events.at(-1)?.action, 'ssh.session-cut');
});

test('a long sentence is cut between words, and fits a close frame', () => {
  const [code, reason] = closeOf(new TunnelError('agent-gone', 'Ärger '.repeat(40)));
  assert.equal(code, 4503);
  assert.ok(Buffer.byteLength(reason) <= 123);
  assert.match(reason, /Ärger…$/);
});
