// Who is let in, and whom a relay believes to be the one it dialled.
import assert from 'node:assert/strict';
import { createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { TunnelError } from '@burrow/tunnel';
import { acceptGrpc, dialGrpc } from '@burrow/tunnel/grpc';
import { TEST_HELLO, TEST_WELCOME } from '@burrow/tunnel/testing';
import { SignJWT } from 'jose';
import { PEER_LIMITS } from './limits.ts';
import { SECRET, testRelay, type TestRelay } from './testing.ts';
import { PeerTokens } from './tokens.ts';

const ME = { id: 'me', incarnation: TEST_HELLO.instanceId, version: '0' };

function tokens(secret = SECRET, now?: () => number): PeerTokens {
  return new PeerTokens(ME, [secret], PEER_LIMITS, now);
}

/** Dials with a token of one's own making. Rejects with what the relay says. */
async function knock(relay: TestRelay, token: string, instanceId = ME.incarnation) {
  const { link } = await dialGrpc({
    url: new URL(relay.info.peerUrl),
    token,
    hello: { ...TEST_HELLO, instanceId },
    handler: { onChannel: (channel) => channel.reset('unsupported', 'no'), onClose() {} },
    signal: AbortSignal.timeout(5_000),
  });
  link.close(new TunnelError('cancelled', 'done'));
}

const says = (code: string, message: RegExp) => (error: unknown) =>
  error instanceof TunnelError &&
  error.code === code &&
  error.remote &&
  message.test(error.message);

test('a good token is let in, once', async (t) => {
  const home = await testRelay(t, 'home');
  const token = await tokens().mint(home.info, 'link');
  await knock(home, token);
  await assert.rejects(knock(home, token), says('token-unknown', /used before/));
  assert.deepEqual(home.refusals, ['replayed']);
});

test('a token replayed at another relay is not for it', async (t) => {
  const [home, other] = await Promise.all([testRelay(t, 'home'), testRelay(t, 'other')]);
  const token = await tokens().mint(home.info, 'link');
  await assert.rejects(knock(other, token), says('token-unknown', /for another relay/));
  assert.deepEqual(other.refusals, ['audience']);
});

test('a token for an earlier run of the same relay is refused', async (t) => {
  const home = await testRelay(t, 'home');
  const token = await tokens().mint({ ...home.info, incarnation: '0'.repeat(32) }, 'link');
  await assert.rejects(knock(home, token), says('token-unknown', /earlier run of this one/));
});

test('a token of another secret is refused, and the reason says what to look at', async (t) => {
  const home = await testRelay(t, 'home');
  const token = await tokens('x'.repeat(32)).mint(home.info, 'link');
  await assert.rejects(knock(home, token), says('token-unknown', /cluster\.secret/));
  assert.deepEqual(home.refusals, ['signature']);
});

test('forged tokens are refused: no signature, the raw secret as key, another algorithm, a damaged one', async (t) => {
  const home = await testRelay(t, 'home');
  const good = await tokens().mint(home.info, 'link');
  const [head, body, signature] = good.split('.') as [string, string, string];
  const none = Buffer.from('{"alg":"none","typ":"burrow-peer+jwt"}').toString('base64url');
  const claims = JSON.parse(Buffer.from(body, 'base64url').toString()) as Record<string, unknown>;
  const sign = (alg: string, typ: string) =>
    new SignJWT(claims).setProtectedHeader({ alg, typ }).sign(Buffer.from(SECRET.repeat(2)));
  const forged = [
    `${none}.${body}.`,
    await sign('HS256', 'burrow-peer+jwt'),
    await sign('HS512', 'burrow-peer+jwt'),
    `${head}.${body}.${signature.slice(0, -2)}AA`,
    `${head}.${Buffer.from(JSON.stringify({ ...claims, iss: 'x' })).toString('base64url')}.${signature}`,
    'x',
    'a.b.c',
    'x'.repeat(5_000),
  ];
  for (const token of forged) {
    await assert.rejects(knock(home, token), (error: unknown) => {
      return error instanceof TunnelError && /^token-(unknown|malformed)$/.test(error.code);
    });
  }
  assert.equal(home.refusals.length, forged.length);
  await knock(home, good);
});

test('an old token is refused; so is one from the future', async (t) => {
  const home = await testRelay(t, 'home');
  for (const skewMs of [-60_000, 60_000]) {
    const token = await tokens(SECRET, () => Date.now() + skewMs).mint(home.info, 'link');
    await assert.rejects(knock(home, token), says('token-expired', /clock/));
  }
  assert.deepEqual(home.refusals, ['expired', 'expired']);
});

test('a token for numbers opens no link', async (t) => {
  const home = await testRelay(t, 'home');
  const token = await tokens().mint(home.info, 'stats');
  await assert.rejects(knock(home, token), says('token-unknown', /not for link/));
});

test("one relay's token in another's hands: who greets must be who signed", async (t) => {
  const home = await testRelay(t, 'home');
  const token = await tokens().mint(home.info, 'link');
  await assert.rejects(
    knock(home, token, 'ff'.repeat(16)),
    says('token-unknown', /another run than the one that greets/),
  );
  assert.deepEqual(home.refusals, ['incarnation']);
});

test('clocks ten minutes apart: a challenge takes their place', async (t) => {
  const edge = await testRelay(t, 'edge', { now: () => Date.now() - 600_000 });
  const home = await testRelay(t, 'home');
  await edge.link(home);
  await home.link(edge);
  assert.deepEqual(edge.dials, ['ok']);
  assert.equal((await edge.peers.stats(home.info, AbortSignal.timeout(5_000))).id, 'home');
});

test('a challenge helps nobody without the secret, and none is taken from elsewhere', async (t) => {
  const home = await testRelay(t, 'home');
  const mine = tokens().challenges.issue();
  const old = tokens(SECRET, () => 0);
  await assert.rejects(
    knock(home, await old.mint(home.info, 'link', mine)),
    says('token-expired', /clock/),
  );
});

test('a secret is replaced relay by relay: the first signs, all are accepted', async (t) => {
  const [before, after] = ['b'.repeat(32), 'a'.repeat(32)];
  const [one, two] = await Promise.all([
    testRelay(t, 'one', { secrets: [before, after] }),
    testRelay(t, 'two', { secrets: [after, before] }),
  ]);
  await one.link(two);
  await two.link(one);
});

test('a short secret is refused at the start', async (t) => {
  await assert.rejects(testRelay(t, 'r', { secrets: ['short'] }), /shorter than 32 bytes/);
});

test('another run of the relay answers at the address: nothing is sent to it', async (t) => {
  const edge = await testRelay(t, 'edge');
  const before = await testRelay(t, 'home');
  const port = Number(new URL(before.info.peerUrl).port);
  await before.peers.stop();
  const after = await testRelay(t, 'home', { listen: { host: '127.0.0.1', port } });
  await assert.rejects(edge.link(before), /earlier run of this one/);
  assert.deepEqual([edge.dials, after.refusals], [['refused'], ['audience']]);
  // Asked again: the answer is known, and nobody is dialled.
  await assert.rejects(edge.link(before), /earlier run of this one/);
  assert.deepEqual(edge.dials, ['refused']);
  await edge.link(after);
});

for (const [what, welcome, told] of [
  ['names another run', { relayIncarnation: 'other' }, /instead of “home”, run/],
  ['names another relay', { relayId: 'other' }, /answers “other”/],
  ['does not know the secret', {}, /does not know this cluster's secret/],
] as const) {
  test(`a stranger at a relay's address who ${what} gets no channel`, async (t) => {
    const edge = await testRelay(t, 'edge');
    const info = {
      id: 'home',
      incarnation: 'ab'.repeat(16),
      version: '0',
      peerUrl: await stranger(t, {
        relayId: 'home',
        relayIncarnation: 'ab'.repeat(16),
        ...welcome,
      }),
    };
    await assert.rejects(edge.peers.link(info, AbortSignal.timeout(5_000)), told);
    assert.deepEqual(edge.dials, ['wrong-relay']);
    assert.equal(edge.peers.linkNow(info), undefined);
  });
}

/** Something that takes every token and answers as it likes. */
async function stranger(
  t: import('node:test').TestContext,
  welcome: Partial<typeof TEST_WELCOME>,
): Promise<string> {
  const server = createServer();
  server.on('stream', (stream, headers) => {
    stream.on('error', () => {});
    void acceptGrpc(stream, headers, {
      welcome: () => ({ ...TEST_WELCOME, ...welcome }),
      handler: { onChannel: () => assert.fail('it was given a channel'), onClose() {} },
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
