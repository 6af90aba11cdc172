import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { RawClient, harness, upstream, waitUntil } from '../test-support.ts';
import { policyWorld, workspaceRoute, type PolicyWorld } from './testing.ts';

const AUTHORITY = 'demo.localhost:8080';

/** Access is taken away and felt within about this, ms; the machine may be busy. */
const WITHIN_MS = 1_900;

interface World extends PolicyWorld, AsyncDisposable {
  readonly gate: Awaited<ReturnType<typeof harness>>;
  readonly cookie: string;
  readonly token: string;
  readonly tokenId: string;
  readonly parentId: string;
  readonly sessionId: string;
  /** What the editor has received, by all connections. */
  received(): string;
}

/** An editor that upgrades, echoes what it gets, and answers `/slow` with a stream that never ends. */
async function world(): Promise<World> {
  let received = '';
  const app = await upstream((socket) => {
    let upgraded = false;
    socket.on('data', (chunk) => {
      const text = chunk.toString('latin1');
      if (upgraded) {
        received += text;
        socket.write(chunk);
      } else if (text.startsWith('GET /slow')) {
        socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nyes\r\n');
      } else if (text.startsWith('GET /ws')) {
        const key = /sec-websocket-key: (\S+)/i.exec(text)?.[1] ?? '';
        const accept = createHash('sha1')
          .update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
          .digest('base64');
        upgraded = true;
        socket.write(
          `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\nopen`,
        );
      }
    });
  });
  const made = await policyWorld('localhost');
  made.routes.set('demo', workspaceRoute({ ownerId: made.owner.userId, editorPort: app.port }));
  const gate = await harness({ port: app.port, gatePolicy: made.policy });
  const parent = await made.auth.sessions.createControl(made.owner.userId);
  const session = await made.auth.sessions.createApp({
    userId: made.owner.userId,
    parentId: parent.id,
    host: AUTHORITY,
  });
  assert.ok(session !== undefined);
  const { token, id } = await made.auth.tokens.create(made.owner.userId, 'test');
  return Object.assign(made, {
    gate,
    cookie: `Cookie: burrow_app=${session.secret}\r\nOrigin: http://${AUTHORITY}\r\n`,
    token: `Burrow-Authorization: Bearer ${token}\r\n`,
    tokenId: id,
    parentId: parent.id,
    sessionId: session.id,
    received: () => received,
    async [Symbol.asyncDispose]() {
      await gate[Symbol.asyncDispose]();
      await app[Symbol.asyncDispose]();
    },
  });
}

function webSocket(port: number, credential: string): RawClient {
  return new RawClient(port).send(
    `GET /ws HTTP/1.1\r\nHost: ${AUTHORITY}\r\n${credential}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n`,
  );
}

const takenAway: readonly {
  readonly how: string;
  readonly by: 'cookie' | 'token';
  readonly reason: string;
  readonly take: (world: World) => unknown;
}[] = [
  {
    how: 'the person signs out',
    by: 'cookie',
    reason: 'unauthenticated',
    take: ({ auth, parentId }) => auth.sessions.revoke(parentId),
  },
  {
    how: 'the session of this host is revoked',
    by: 'cookie',
    reason: 'unauthenticated',
    take: ({ auth, sessionId }) => auth.sessions.revoke(sessionId),
  },
  {
    how: 'the person is signed out everywhere',
    by: 'cookie',
    reason: 'unauthenticated',
    take: ({ auth, owner }) => auth.sessions.revokeUser(owner.userId),
  },
  {
    how: 'the session expires',
    by: 'cookie',
    reason: 'unauthenticated',
    take: ({ clock }) => clock.advance(15 * 24 * 3600_000),
  },
  {
    how: 'the access token is revoked',
    by: 'token',
    reason: 'unauthenticated',
    take: ({ auth, tokenId }) => auth.tokens.revoke(tokenId),
  },
  {
    how: 'the workspace is deleted',
    by: 'cookie',
    reason: 'workspace-unknown',
    take: ({ routes }) => routes.delete('demo'),
  },
  {
    how: 'the workspace is given away',
    by: 'token',
    reason: 'workspace-unknown',
    take: ({ routes, stranger }) =>
      routes.set('demo', workspaceRoute({ ...routes.get('demo'), ownerId: stranger.userId })),
  },
];

for (const { how, by, reason, take } of takenAway) {
  test(`an open WebSocket ends when ${how}`, async () => {
    await using w = await world();
    const client = webSocket(w.gate.port, w[by]);
    await client.untilText('open');
    client.send('one');
    await client.untilText('one');
    const since = performance.now();
    await take(w);
    await waitUntil(() => client.ended);
    assert.ok(performance.now() - since < WITHIN_MS);
    await waitUntil(() => w.gate.router.channels.size === 0);
    assert.deepEqual(
      w.gate.logged.map(({ fields }) => (fields as { reason?: string }).reason),
      [reason],
    );
  });
}

test('what others have open, and what is still allowed, stays open', async () => {
  await using w = await world();
  const mine = webSocket(w.gate.port, w.cookie);
  const byToken = webSocket(w.gate.port, w.token);
  await Promise.all([mine.untilText('open'), byToken.untilText('open')]);
  await w.auth.tokens.revoke(w.tokenId);
  await waitUntil(() => byToken.ended);
  mine.send('still');
  await mine.untilText('still');
  assert.equal(w.received(), 'still');
  mine.socket.destroy();
});

test('a stream under way is cut off, not completed; a request without an answer is told', async () => {
  await using w = await world();
  const get = (path: string) =>
    new RawClient(w.gate.port).send(
      `GET ${path} HTTP/1.1\r\nHost: ${AUTHORITY}\r\n${w.cookie}\r\n`,
    );
  const stream = get('/slow');
  const silent = get('/never');
  await stream.untilText('yes');
  await w.auth.sessions.revoke(w.parentId);
  assert.doesNotMatch(await stream.untilEnd(), /0\r\n\r\n$/);
  assert.match(await silent.untilText('\r\n\r\n{'), /^HTTP\/1.1 401 [^]*unauthenticated/);
  await waitUntil(() => w.gate.router.channels.size === 0);
  silent.socket.destroy();
});

test('a database in trouble takes nothing away', async () => {
  await using w = await world();
  const client = webSocket(w.gate.port, w.cookie);
  await client.untilText('open');
  const { policy } = w;
  let asked = 0;
  const decide = policy.decide.bind(policy);
  policy.decide = () => {
    asked += 1;
    return Promise.reject(new Error('disk I/O error'));
  };
  await waitUntil(() => asked > 1);
  policy.decide = decide;
  client.send('still');
  await client.untilText('still');
  client.socket.destroy();
});

test('over HTTP/2 both a WebSocket and a stream end', async () => {
  await using w = await world();
  const server = createServer({ settings: { enableConnectProtocol: true } });
  server.on('stream', (stream, _headers, _flags, raw: string[]) =>
    w.gate.gateway.handleStream(stream, raw, {
      remoteAddress: '192.0.2.7',
      secure: false,
      trustedProxy: false,
    }),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const session = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  await once(session, 'remoteSettings');
  const common = {
    ':authority': AUTHORITY,
    ':scheme': 'http',
    'burrow-authorization': w.token.slice('Burrow-Authorization: '.length).trim(),
  };
  const streams = [
    session.request({
      ...common,
      ':method': 'CONNECT',
      ':protocol': 'websocket',
      ':path': '/ws',
      'sec-websocket-version': '13',
    }),
    session.request({ ...common, ':path': '/slow' }),
  ];
  let data = 0;
  for (const stream of streams) stream.on('data', () => data++).on('error', () => {});
  await waitUntil(() => data === 2);
  await w.auth.tokens.revoke(w.tokenId);
  await waitUntil(() => streams.every((stream) => stream.closed));
  assert.ok(streams.every((stream) => stream.rstCode !== 0));
  await waitUntil(() => w.gate.router.channels.size === 0);
  session.destroy();
  server.close();
  await once(server, 'close');
});
