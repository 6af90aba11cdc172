import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { test } from 'node:test';
import { openLink } from './link.ts';

// By itself gRPC would be given up after 5 s.
test(
  'a dial that is ended lets go at once, and tries no other way',
  { timeout: 4_000 },
  async (t) => {
    const silent = createServer().listen(0, '127.0.0.1');
    t.after(() => silent.close());
    await once(silent, 'listening');
    let connections = 0;
    silent.on('connection', () => (connections += 1));
    const url = new URL(`http://127.0.0.1:${(silent.address() as AddressInfo).port}`);
    const given = new AbortController();
    const handler = { onChannel: () => {}, onClose: () => {} };
    const dialled = openLink({ url, token: 'x' }, handler, 'auto', given.signal);
    const [socket] = (await once(silent, 'connection')) as [Socket];
    socket.on('error', () => {});
    await once(socket.resume(), 'data');
    given.abort(new Error('Another was first.'));
    await assert.rejects(dialled, /Another was first/);
    if (!socket.closed) await once(socket, 'close');
    assert.equal(connections, 1);
  },
);
