import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { TunnelError, type Link } from '@burrow/tunnel';
import { OPEN, openOn, testRelay } from './testing.ts';

test('a channel through two relays carries bytes both ways, and half-closes in order', async (t) => {
  const [edge, home] = await Promise.all([testRelay(t, 'edge'), testRelay(t, 'home')]);
  await home.connectAgent('a1');
  const client = await edge.clientOf(home, 'a1');
  const near = openOn(client);
  await near.until((r) => r.opened);
  const far = home.atAgent[0]!;
  const up = randomBytes(3_000_000);
  const down = randomBytes(5_000_000);
  near.channel!.write(Buffer.from(up));
  near.channel!.end();
  await far.until((r) => r.ended);
  assert.equal(near.ended, false, 'the other direction is still open');
  far.channel!.write(Buffer.from(down));
  far.channel!.end();
  await near.until((r) => r.closed);
  assert.equal(near.error, undefined);
  assert.ok(far.received.equals(up));
  assert.ok(near.received.equals(down));
});

test('the user, their address and the kind of traffic reach the agent; its own id does not', async (t) => {
  const [edge, home] = await Promise.all([testRelay(t, 'edge'), testRelay(t, 'home')]);
  await home.connectAgent('a1');
  const near = openOn(await edge.clientOf(home, 'a1'), { traffic: 'interactive' });
  await near.until((r) => r.opened);
  const { principal, metadata, workload, traffic, target, uid } = home.atAgent[0]!.channel!;
  assert.deepEqual(principal, OPEN.principal);
  assert.deepEqual({ ...metadata }, { 'client-address': '192.0.2.7' });
  assert.deepEqual(target, OPEN.target);
  assert.equal(workload, '');
  assert.equal(traffic, 'interactive');
  assert.equal(uid, near.channel!.uid, 'one name in the logs of both relays and the agent');
});

test('an agent that is not here resets the channel at once, and the reason names the relay', async (t) => {
  const [edge, home] = await Promise.all([testRelay(t, 'edge'), testRelay(t, 'home')]);
  const near = openOn(await edge.link(home), { workload: 'a-elsewhere' });
  await near.until((r) => r.closed);
  assert.equal(near.opened, false);
  assert.equal(near.error?.code, 'draining');
  assert.match(near.error.message, /not connected to the relay “home”/);
});

test('a channel that names no agent is refused', async (t) => {
  const [edge, home] = await Promise.all([testRelay(t, 'edge'), testRelay(t, 'home')]);
  const near = openOn(await edge.link(home));
  await near.until((r) => r.closed);
  assert.equal(near.error?.code, 'protocol-error');
});

test('nothing goes onward to a third relay, though the second could reach it', async (t) => {
  const [edge, middle, home] = await Promise.all([
    testRelay(t, 'edge'),
    testRelay(t, 'middle'),
    testRelay(t, 'home'),
  ]);
  await home.connectAgent('a1');
  await middle.link(home);
  const near = openOn(await edge.link(middle), { workload: 'a1' });
  await near.until((r) => r.closed);
  assert.equal(near.error?.code, 'draining');
  assert.match(near.error.message, /“middle”/);
  assert.equal(home.atAgent.length, 0);
});

test('a relay opens channels only on links that it dialled', async (t) => {
  const [edge, home] = await Promise.all([testRelay(t, 'edge'), testRelay(t, 'home')]);
  await edge.connectAgent('a1');
  await edge.link(home);
  const [back] = home.peers.links('in');
  const wrong = openOn(back!, { workload: 'a1' });
  await wrong.until((r) => r.closed);
  assert.equal(wrong.error?.code, 'not-allowed');
  assert.equal(edge.atAgent.length, 0);
});

test("the agent's refusal reaches the client in its own words", async (t) => {
  const [edge, home] = await Promise.all([testRelay(t, 'edge'), testRelay(t, 'home')]);
  await home.connectAgent('a1');
  const near = openOn(await edge.clientOf(home, 'a1'));
  await near.until((r) => r.opened);
  home.atAgent[0]!.channel!.reset('nothing-listens', 'Nothing listens on port 3000.');
  await near.until((r) => r.closed);
  assert.equal(near.error?.code, 'nothing-listens');
  assert.equal(near.error.message, 'Nothing listens on port 3000.');
});

test('what the client takes back is taken back from the agent', async (t) => {
  const [edge, home] = await Promise.all([testRelay(t, 'edge'), testRelay(t, 'home')]);
  await home.connectAgent('a1');
  const near = openOn(await edge.clientOf(home, 'a1'));
  await near.until((r) => r.opened);
  near.channel!.reset('cancelled', 'The reader went away.');
  const far = home.atAgent[0]!;
  await far.until((r) => r.closed);
  assert.equal(far.error?.code, 'cancelled');
  assert.equal(far.error.message, 'The reader went away.');
});

test('an agent whose link ends takes its channels with it, and only those', async (t) => {
  const [edge, home] = await Promise.all([testRelay(t, 'edge'), testRelay(t, 'home')]);
  const agent = await home.connectAgent('a1');
  await home.connectAgent('a2');
  const link = await edge.link(home);
  const [one, two] = [openOn(link, { workload: 'a1' }), openOn(link, { workload: 'a2' })];
  await Promise.all([one.until((r) => r.opened), two.until((r) => r.opened)]);
  agent.close(new TunnelError('cancelled', 'the workload stops'));
  await one.until((r) => r.closed);
  assert.equal(two.closed, false);
  assert.equal(link.closed, false);
});

test("a channel on an agent's draining link stays while the agent's other link does not answer", async (t) => {
  let asked = 0;
  let drains = false;
  const other = { stats: { silent: true } };
  const threeLooks = Promise.withResolvers<void>();
  const edge = await testRelay(t, 'edge');
  const home = await testRelay(t, 'home', {
    choose(agentId, traffic) {
      if (!drains) return home.routing.choose(agentId, traffic);
      if (++asked === 3) threeLooks.resolve();
      return other as Link;
    },
  });
  const agent = await home.connectAgent('a1');
  const left = Promise.withResolvers<void>();
  let detached = false;
  const near = openOn(await edge.link(home), {
    workload: 'a1',
    resumer: { onDetached: () => ((detached = true), left.resolve()) },
  });
  await near.until((r) => r.opened);
  drains = true;
  agent.drain(60_000, 'The relay restarts.');
  await threeLooks.promise;
  near.channel!.write(Buffer.from('still here'));
  await home.atAgent[0]!.until((r) => r.bytes > 0);
  assert.equal(detached, false);
  other.stats.silent = false;
  await left.promise;
});
