import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MessageChannel } from 'node:worker_threads';
import { TunnelError } from '@burrow/tunnel';
import { dialPort } from '@burrow/tunnel/message-port';
import { Recorder, TEST_HELLO } from '@burrow/tunnel/testing';
import { ANN, ANNS_KEY, ANNS_TOKEN, BOBS_TOKEN, clientsStand, route } from './testing.ts';

const NAMED = `SHA256:${'N'.repeat(42)}A`;

test('a channel reaches the workspace on behalf of the token’s person, with their keys', async () => {
  const stand = clientsStand();
  await stand.connectAgent();
  const client = await stand.dialAsAnn();
  const near = client.open('demo', { kind: 'ssh', authorizedKeys: [NAMED] });
  await near.until((r) => r.opened);
  const [far] = stand.atAgent;
  assert.deepEqual(far?.channel?.principal, { userId: 'u-ann', username: 'ann' });
  assert.deepEqual(far.channel.target, { kind: 'ssh', authorizedKeys: [NAMED, ANNS_KEY] });
  assert.deepEqual(far.channel.metadata, { 'client-address': '192.0.2.7' });
  near.channel!.write(Buffer.from('SSH-2.0-x'));
  near.channel!.end();
  await far.until((r) => r.ended);
  assert.equal(far.received.toString(), 'SSH-2.0-x');
  far.channel.end();
  await near.until((r) => r.closed);
  assert.equal(near.error, undefined);
  assert.deepEqual(
    stand.events.map(({ action, outcome, username, workspace, address }) => [
      ...[action, outcome, username, workspace, address],
    ]),
    [
      ['ssh.session-opened', 'ok', 'ann', 'demo', '192.0.2.7'],
      ['ssh.session-closed', 'ok', 'ann', 'demo', '192.0.2.7'],
    ],
  );
});

test('TCP ports are reached as well; other targets are not', async () => {
  const stand = clientsStand();
  await stand.connectAgent();
  const client = await stand.dialAsAnn();
  const tcp = client.open('demo', { kind: 'tcp', port: 5432 });
  await tcp.until((r) => r.opened);
  assert.deepEqual(stand.atAgent[0]?.channel?.target, { kind: 'tcp', port: 5432 });
  for (const target of [
    { kind: 'unix', path: '/run/docker.sock' },
    { kind: 'terminal', session: 'x' },
  ] as const) {
    const refused = client.open('demo', target);
    await refused.until((r) => r.closed);
    assert.equal(refused.error?.code, 'not-allowed');
  }
});

test('of the connections to one port the first is written down, and each that fares otherwise', async () => {
  const stand = clientsStand();
  await stand.connectAgent();
  const client = await stand.dialAsAnn();
  const open = async (port: number, workload = 'demo') => {
    const near = client.open(workload, { kind: 'tcp', port });
    await near.until((r) => r.opened || r.closed);
    return near;
  };
  for (const port of [5432, 5432, 8080, 5432]) await open(port);
  await open(80, 'nope');
  stand.routes.set('demo', route('demo', { ownerId: 'u-bob' }));
  await stand.atAgent[3]!.until((r) => r.closed);
  await open(5432);
  assert.deepEqual(
    stand.events.map(({ action, outcome, workspace, detail, username, address }) => {
      assert.deepEqual([username, address], ['ann', '192.0.2.7']);
      return [action, outcome, workspace, detail?.split(/[.,] /)[0]];
    }),
    [
      ['port.forwarded', 'ok', 'demo', 'port 5432'],
      ['port.forwarded', 'ok', 'demo', 'port 8080'],
      ['port.forwarded', 'refused', 'nope', 'port 80: There is no workspace “nope”'],
      ['port.cut', 'ok', 'demo', 'port 5432: Your access to the workspace “demo” was taken away'],
      ['port.cut', 'ok', 'demo', 'port 8080: Your access to the workspace “demo” was taken away'],
      ['port.forwarded', 'refused', 'demo', 'port 5432: There is no workspace “demo”'],
    ],
  );
});

test('an unknown workspace and somebody else’s have one answer', async () => {
  const stand = clientsStand();
  await stand.connectAgent();
  stand.routes.set('bobs', route('bobs', { ownerId: 'u-bob' }));
  const client = await stand.dialAsAnn();
  const answers = [];
  for (const name of ['bobs', 'nope']) {
    const refused = client.open(name);
    await refused.until((r) => r.closed);
    answers.push([refused.error?.code, refused.error?.message.replace(name, '*')]);
  }
  assert.deepEqual(answers[0], answers[1]);
  assert.equal(answers[0]?.[0], 'not-allowed');
  assert.deepEqual(
    stand.events.map((event) => event.outcome),
    ['refused', 'refused'],
  );
});

test('what is stopped or away is said, and an agent that is just connecting is waited for', async () => {
  const stand = clientsStand({ settings: { waitForAgentMs: 200 } });
  const client = await stand.dialAsAnn();
  const stopped = client.open('stopped');
  await stopped.until((r) => r.closed);
  assert.match(stopped.error?.message ?? '', /“stopped” is stopped/);
  const away = client.open('away');
  await away.until((r) => r.closed);
  assert.equal(away.error?.code, 'agent-gone');
  assert.match(away.error?.message ?? '', /agent of the workspace “away” is not connected/);

  const early = client.open('demo');
  early.channel!.write(Buffer.from('before the agent was there'));
  await stand.connectAgent();
  await early.until((r) => r.opened);
  await stand.atAgent[0]?.until((r) => r.bytes > 0);
  assert.equal(stand.atAgent[0]?.received.toString(), 'before the agent was there');
});

test('tokens that are missing, unknown or sent in the clear are refused with a sentence', async () => {
  const stand = clientsStand();
  for (const [token, host, code] of [
    [undefined, undefined, 'token-malformed'],
    ['burrow_pat_x', undefined, 'token-unknown'],
    [ANNS_TOKEN, 'relay.example.com', 'unavailable'],
  ] as const) {
    const refusal = await stand.dial(token, host);
    assert.ok(refusal instanceof TunnelError);
    assert.equal(refusal.code, code);
    assert.ok(!refusal.message.includes(ANNS_TOKEN));
  }
  assert.equal(stand.clients.links, 0);
});

test('a revoked token ends its links within a second, and others stay', async () => {
  const stand = clientsStand();
  await stand.connectAgent();
  const [ann, bob] = [await stand.dialAsAnn(), await stand.dial(BOBS_TOKEN)];
  assert.ok(!(bob instanceof TunnelError));
  const near = ann.open('demo');
  await near.until((r) => r.opened);
  const since = performance.now();
  stand.tokens.delete(ANNS_TOKEN);
  const error = await ann.closed;
  assert.ok(performance.now() - since < 1_000);
  assert.equal(error.code, 'token-revoked');
  assert.match(error.message, /revoked or has expired/);
  await stand.atAgent[0]?.until((r) => r.closed);
  assert.equal(bob.link.closed, false);
  assert.equal(stand.clients.channels, 0);
});

test('links and channels are counted, however they end', async () => {
  const stand = clientsStand();
  await stand.connectAgent();
  const ann = await stand.dialAsAnn();
  const near = ann.open('demo');
  await near.until((r) => r.opened);
  await ann.open('nowhere').until((r) => r.closed);
  await stand.dial('burrow_pat_x');
  stand.tokens.delete(ANNS_TOKEN);
  await ann.closed;
  assert.deepEqual(stand.counted, [
    'opened grpc',
    'channel',
    'refused token-unknown',
    'closed token-revoked',
  ]);
});

test('a channel is cut when its workspace is given away or gone; the link stays', async () => {
  const stand = clientsStand();
  await stand.connectAgent();
  const client = await stand.dialAsAnn();
  const near = client.open('demo');
  await near.until((r) => r.opened);
  stand.routes.set('demo', route('demo', { ownerId: 'u-bob' }));
  await near.until((r) => r.closed);
  assert.equal(near.error?.code, 'revoked');
  await stand.atAgent[0]?.until((r) => r.closed);
  assert.equal(stand.atAgent[0]?.error?.code, 'revoked');
  assert.equal(client.link.closed, false);
  assert.equal(stand.events.at(-1)?.action, 'ssh.session-cut');
});

test('caps: links of a person, channels of a link, waiting channels, keys', async () => {
  const stand = clientsStand({
    limits: { linksPerPerson: 2, channelsPerLink: 2, waitingPerPerson: 1 },
    settings: { waitForAgentMs: 2_000 },
  });
  const client = await stand.dialAsAnn();
  const other = await stand.dialAsAnn();
  const third = await stand.dial(ANNS_TOKEN);
  assert.ok(third instanceof TunnelError);
  assert.equal(third.code, 'too-many-links');
  assert.ok(!((await stand.dial(BOBS_TOKEN)) instanceof TunnelError));
  other.link.close(new TunnelError('cancelled', 'done'));
  await other.closed;

  const first = client.open('demo');
  const second = client.open('demo');
  await second.until((r) => r.closed);
  assert.equal(second.error?.code, 'limit');
  await stand.connectAgent();
  await first.until((r) => r.opened);
  await client.open('demo').until((r) => r.opened);
  const over = client.open('demo');
  await over.until((r) => r.closed);
  assert.equal(over.error?.code, 'limit');

  const again = await stand.dialAsAnn();
  const keys = again.open('demo', { kind: 'ssh', authorizedKeys: Array(9).fill(NAMED) });
  await keys.until((r) => r.closed);
  assert.match(keys.error?.message ?? '', /at most 8 keys/);
});

test('a drain lets nothing new in, waits for what is open, and a stop cuts it', async () => {
  const stand = clientsStand();
  await stand.connectAgent();
  const client = await stand.dialAsAnn();
  const near = client.open('demo');
  await near.until((r) => r.opened);
  let drained = false;
  const draining = stand.clients.drain(5_000).then(() => (drained = true));
  assert.ok((await stand.dial(ANNS_TOKEN)) instanceof TunnelError);
  assert.equal(drained, false);
  near.channel!.end();
  stand.atAgent[0]!.channel!.end();
  await draining;
  stand.clients.stop();
  stand.clients.stop();
  assert.equal((await client.closed).code, 'draining');
});

test('our own threads name the person and the exact keys; the workspace must exist', async (t) => {
  const stand = clientsStand();
  await stand.connectAgent();
  const { port1, port2 } = new MessageChannel();
  t.after(() => port1.close());
  stand.clients.admitInternal(port1);
  const { link } = await dialPort(port2, {
    hello: TEST_HELLO,
    handler: { onChannel() {}, onClose() {} },
    signal: AbortSignal.timeout(5_000),
  });
  const open = (workload: string): Recorder => {
    const recorder = new Recorder();
    recorder.channel = link.open(
      {
        target: { kind: 'ssh', authorizedKeys: [NAMED] },
        principal: { userId: ANN.userId, username: ANN.username },
        metadata: { 'client-address': '198.51.100.1' },
        workload,
      },
      recorder,
    );
    return recorder;
  };
  const near = open('demo');
  await near.until((r) => r.opened);
  const channel = stand.atAgent[0]?.channel;
  assert.deepEqual(channel?.principal, { userId: 'u-ann', username: 'ann' });
  assert.deepEqual(channel.target, { kind: 'ssh', authorizedKeys: [NAMED] });
  assert.deepEqual(channel.metadata, { 'client-address': '198.51.100.1' });
  const unknown = open('nope');
  await unknown.until((r) => r.closed);
  assert.equal(unknown.error?.code, 'not-allowed');
  assert.deepEqual(stand.events, []);
  stand.clients.stop();
});
