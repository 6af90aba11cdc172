import assert from 'node:assert/strict';
import http2 from 'node:http2';
import { test } from 'node:test';
import { TunnelError, type Channel } from '@burrow/tunnel';
import { CONNECT_PATH, dialGrpc } from '@burrow/tunnel/grpc';
import { dialWebSocket } from '@burrow/tunnel/websocket';
import { dialler, GOOD_TOKEN, linksStand } from './testing.ts';

const TRANSPORTS = [
  ['gRPC', dialGrpc, 'url'],
  ['WebSocket', dialWebSocket, 'webSocketUrl'],
] as const;

const code = (expected: string) => (error: unknown) => {
  assert.ok(error instanceof TunnelError, String(error));
  assert.equal(error.code, expected);
  assert.equal(error.remote, true);
  return true;
};

async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 5_000;
  while (!condition()) {
    assert.ok(performance.now() < deadline, 'it never came to be');
    await new Promise((resolve) => setImmediate(resolve));
  }
}

for (const [name, dial, where] of TRANSPORTS) {
  test(`${name}: a good token gets a link, registered until it closes`, async (t) => {
    const stand = await linksStand(t);
    const { options } = dialler(stand[where], GOOD_TOKEN);
    const { link, welcome } = await dial(options);
    assert.equal(welcome.workload, 'demo');
    assert.equal(welcome.relayId, 'r1');
    assert.deepEqual([welcome.minLinks, welcome.maxLinks, welcome.maxChannels], [2, 4, 100]);
    await until(() => stand.routing.presence('a1')?.links === 1);
    assert.equal(stand.routing.presence('a1')?.hello.software, options.hello.software);
    link.close(new TunnelError('cancelled', 'done'));
    await until(() => stand.routing.presence('a1') === undefined);
    assert.deepEqual(stand.directory.events, ['+a1', '-a1']);
  });

  for (const refusal of [
    'token-unknown',
    'token-revoked',
    'token-expired',
    'token-malformed',
    'unavailable',
  ]) {
    test(`${name}: ${refusal} reaches the dialler with its sentence`, async (t) => {
      const stand = await linksStand(t);
      const { options } = dialler(stand[where], refusal);
      await assert.rejects(dial(options), (error: Error) => {
        assert.equal(error.message, `said ${refusal}: 100% "sure" – é`);
        return code(refusal)(error);
      });
      assert.deepEqual(stand.refused, [refusal]);
    });
  }

  test(`${name}: a database fault is unavailable, never final, and keeps its details to itself`, async (t) => {
    const stand = await linksStand(t);
    stand.directory.answer = () => Promise.reject(new Error('SQLITE_BUSY: secret details'));
    await assert.rejects(dial(dialler(stand[where], GOOD_TOKEN).options), (error: Error) => {
      assert.ok(!error.message.includes('secret'));
      return code('unavailable')(error);
    });
  });

  test(`${name}: a database that hangs is unavailable in bounded time`, async (t) => {
    const stand = await linksStand(t, { authenticateWithinMs: 50 });
    stand.directory.answer = () => new Promise<never>(() => {});
    await assert.rejects(dial(dialler(stand[where], GOOD_TOKEN).options), code('unavailable'));
  });

  test(`${name}: a revoked agent is cut within a second and told why`, async (t) => {
    const stand = await linksStand(t);
    const agents = [dialler(stand[where], GOOD_TOKEN), dialler(stand[where], GOOD_TOKEN)];
    await Promise.all(agents.map((agent) => dial(agent.options)));
    await until(() => stand.routing.presence('a1')?.links === 2);
    const from = performance.now();
    stand.directory.revoke('a1', 'its workspace was terminated');
    for (const agent of agents) {
      const error = await agent.closed;
      assert.equal(error.code, 'token-revoked');
      assert.match(error.message, /its workspace was terminated/);
    }
    assert.ok(performance.now() - from < 1_000);
    assert.equal(stand.routing.presence('a1'), undefined);
  });

  test(`${name}: a draining relay refuses links`, async (t) => {
    const stand = await linksStand(t);
    stand.links.refuseNew();
    await assert.rejects(dial(dialler(stand[where], GOOD_TOKEN).options), code('draining'));
  });
}

test('the directory hears of each link that comes, and of each that goes', async (t) => {
  const stand = await linksStand(t);
  const agents = [dialler(stand.url, GOOD_TOKEN), dialler(stand.url, GOOD_TOKEN)];
  const dialled = await Promise.all(agents.map((agent) => dialGrpc(agent.options)));
  await until(() => stand.routing.presence('a1')?.links === 2);
  for (const { link } of dialled) link.close(new TunnelError('cancelled', 'done'));
  await until(() => stand.routing.presence('a1') === undefined);
  assert.deepEqual(stand.directory.events, ['+a1', '+a1', '-a1', '-a1']);
});

test('a revocation in the middle of a handshake refuses the link', async (t) => {
  const stand = await linksStand(t);
  const asked = Promise.withResolvers<void>();
  const answer = Promise.withResolvers<never>();
  stand.directory.answer = () => {
    asked.resolve();
    return answer.promise;
  };
  const dialling = dialGrpc(dialler(stand.url, GOOD_TOKEN).options);
  await asked.promise;
  answer.resolve({ agentId: 'a1', workspaceId: 'w1', workspaceName: 'demo' } as never);
  // The agent's id is known from the next turn on, Hello has not been read.
  queueMicrotask(() =>
    queueMicrotask(() => queueMicrotask(() => stand.directory.revoke('a1', 'gone'))),
  );
  const result = await dialling.then(
    ({ link }) => until(() => link.closed).then(() => 'cut'),
    (error: TunnelError) => error.code,
  );
  assert.ok(result === 'token-revoked' || result === 'cut', result);
  await until(() => stand.routing.presence('a1') === undefined);
});

test('an agent has at most so many links; more are refused until one is gone', async (t) => {
  const stand = await linksStand(t, { maxLinksPerAgent: 2 });
  const first = await dialGrpc(dialler(stand.url, GOOD_TOKEN).options);
  await dialGrpc(dialler(stand.url, GOOD_TOKEN).options);
  await assert.rejects(dialGrpc(dialler(stand.url, GOOD_TOKEN).options), code('too-many-links'));
  first.link.close(new TunnelError('cancelled', 'done'));
  await until(() => stand.routing.presence('a1')?.links === 1);
  await dialGrpc(dialler(stand.url, GOOD_TOKEN).options);
});

test('an agent that connects too often is slowed down', async (t) => {
  const stand = await linksStand(t, { maxConnectsPerMinute: 2 });
  for (let i = 0; i < 2; i++) {
    const { link } = await dialGrpc(dialler(stand.url, GOOD_TOKEN).options);
    link.close(new TunnelError('cancelled', 'done'));
  }
  await assert.rejects(dialGrpc(dialler(stand.url, GOOD_TOKEN).options), code('too-many-links'));
});

test('a new instance takes over; the old one is told and kept out while the new one lives', async (t) => {
  const stand = await linksStand(t);
  const [old, young] = ['aa', 'bb'].map((byte) => byte.repeat(16)) as [string, string];
  const first = dialler(stand.url, GOOD_TOKEN, old);
  await dialGrpc(first.options);
  await until(() => stand.routing.presence('a1')?.links === 1);
  const second = await dialGrpc(dialler(stand.url, GOOD_TOKEN, young).options);
  const told = await first.closed;
  assert.equal(told.code, 'too-many-links');
  assert.match(told.message, /newer process/);
  assert.equal(stand.warnings.length, 1);
  await until(() => stand.routing.presence('a1')?.links === 1);
  assert.equal(stand.routing.presence('a1')?.hello.instanceId, young);
  await assert.rejects(
    dialGrpc(dialler(stand.url, GOOD_TOKEN, old).options),
    code('too-many-links'),
  );

  second.link.close(new TunnelError('cancelled', 'done'));
  await until(() => stand.routing.presence('a1') === undefined);
  await dialGrpc(dialler(stand.url, GOOD_TOKEN, old).options);
  assert.ok(!stand.directory.events.join('').includes('--'));
});

test('one agent, two links that report different versions: both serve, the last one is shown', async (t) => {
  const stand = await linksStand(t);
  const dial = async (software: string) => {
    const { options } = dialler(stand.url, GOOD_TOKEN);
    const opened = Promise.withResolvers<void>();
    const handler = {
      ...options.handler,
      onChannel(channel: Channel) {
        channel.reset('unsupported', software);
        opened.resolve();
      },
    };
    const { link } = await dialGrpc({
      ...options,
      handler,
      hello: { ...options.hello, software },
    });
    await until(() => stand.routing.presence('a1')?.hello.software === software);
    return { link, opened: opened.promise };
  };
  const older = await dial('burrow-agent/0.1.0');
  const newer = await dial('burrow-agent/0.2.0');
  assert.equal(stand.routing.presence('a1')?.links, 2);
  assert.deepEqual(stand.warnings, [], 'an agent may be one that was updated in place');
  for (const link of stand.routing.links()) {
    link.open(
      { target: { kind: 'tcp', port: 3000 }, principal: { userId: 'u', username: 'ann' } },
      { onData() {}, onEnd() {}, onClose() {} },
    );
  }
  await Promise.all([older.opened, newer.opened]);
  newer.link.close(new TunnelError('cancelled', 'done'));
  await until(() => stand.routing.presence('a1')?.links === 1);
});

test('leases of connected agents are renewed, in one call for all', async (t) => {
  const stand = await linksStand(t);
  stand.links.start();
  await dialGrpc(dialler(stand.url, GOOD_TOKEN).options);
  await dialGrpc(dialler(stand.url, GOOD_TOKEN).options);
  await until(() => stand.directory.renewed.length > 0);
  assert.deepEqual(stand.directory.renewed[0], ['a1']);
});

test('stopping cuts links with a reason and leaves no subscription', async (t) => {
  const stand = await linksStand(t);
  const agent = dialler(stand.url, GOOD_TOKEN);
  await dialGrpc(agent.options);
  await until(() => stand.routing.presence('a1')?.links === 1);
  await Promise.all([stand.links.stop(), stand.links.stop()]);
  assert.equal((await agent.closed).code, 'draining');
  assert.equal(stand.directory.listeners, 0);
});

test('no token is a malformed token', async (t) => {
  const stand = await linksStand(t);
  const trailers = await call(stand.url, { ':path': CONNECT_PATH });
  assert.equal(trailers['grpc-status'], '16');
  assert.equal(trailers['burrow-error-code'], 'token-malformed');
});

test('an unknown service or method is unimplemented', async (t) => {
  const stand = await linksStand(t);
  for (const path of ['/nobody.Service/Method', '/burrow.tunnel.v1.TunnelService/Other', '/']) {
    const trailers = await call(stand.url, { ':path': path });
    assert.equal(trailers['grpc-status'], '12', path);
  }
  assert.equal(
    (await call(stand.url, { ':path': CONNECT_PATH, ':method': 'GET' }))['grpc-status'],
    '12',
  );
});

/** The header block of a trailers-only answer. */
async function call(
  url: URL,
  headers: http2.OutgoingHttpHeaders,
): Promise<http2.IncomingHttpHeaders> {
  const session = http2.connect(url);
  session.on('error', () => {});
  const stream = session.request({
    ':method': 'POST',
    'content-type': 'application/grpc',
    te: 'trailers',
    ...headers,
  });
  stream.on('error', () => {});
  stream.end();
  const answer = await new Promise<http2.IncomingHttpHeaders>((resolve) =>
    stream.once('response', resolve),
  );
  session.destroy();
  return answer;
}
