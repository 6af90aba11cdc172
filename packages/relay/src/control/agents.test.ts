import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { openSharedTestDatabase } from '../db/testing.ts';
import { newAgentToken } from './agent-token.ts';
import { testControl, type TestControl } from './testing.ts';

async function made(t: TestControl, name = 'web'): Promise<{ token: string; agentId: string }> {
  const { body } = await t.call(t.alice, 'POST', '/workspaces', { name, driver: 'external' });
  const token = body.environment.BURROW_AGENT_TOKEN;
  return { token, agentId: (await t.control.agents.authenticate(token)).agentId };
}

describe('checking an agent token', () => {
  it('tells what is wrong with it', async () => {
    await using t = await testControl();
    const { token } = await made(t);
    const cases: [string, string][] = [
      ['', 'token-malformed'],
      ['burrow_agt_short', 'token-malformed'],
      [token.replace('agt', 'pat'), 'token-malformed'],
      [`${token}x`, 'token-malformed'],
      [token.slice(0, -1) + '\n', 'token-malformed'],
      [newAgentToken(), 'token-unknown'],
    ];
    for (const [text, code] of cases) {
      await assert.rejects(t.control.agents.authenticate(text), { name: 'TunnelError', code });
    }
  });

  it('says "unavailable", not "unknown", when the database does not answer', async () => {
    await using t = await testControl();
    const { token } = await made(t);
    await t.database.close();
    await assert.rejects(t.control.agents.authenticate(token), { code: 'unavailable' });
    assert.ok(!t.logged.join().includes(token));
  });
});

describe('revocation', () => {
  it('is told at once, synchronously after the commit', async () => {
    await using t = await testControl();
    const { agentId } = await made(t);
    const heard: [string, string][] = [];
    const stop = t.control.agents.onRevoked((id, reason) => heard.push([id, reason]));
    await t.call(t.alice, 'POST', '/workspaces/web/agent-token');
    assert.deepEqual(heard, [[agentId, 'its token was replaced by a new one']]);
    await t.call(t.alice, 'DELETE', '/workspaces/web');
    assert.deepEqual(heard[1], [agentId, 'its workspace was terminated']);
    stop();
    await made(t, 'other');
    await t.call(t.alice, 'DELETE', '/workspaces/other');
    assert.equal(heard.length, 2);
  });

  it('reaches every listener, also after one that throws', async () => {
    await using t = await testControl();
    await made(t);
    let heard = 0;
    t.control.agents.onRevoked(() => {
      throw new Error('broken');
    });
    t.control.agents.onRevoked(() => (heard += 1));
    assert.equal((await t.call(t.alice, 'DELETE', '/workspaces/web')).status, 204);
    assert.equal(heard, 1);
  });

  it('is seen within a second by another relay on the same database', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'burrow-control-'));
    const open = await openSharedTestDatabase(join(directory, 'relay.db'));
    const [ours, theirs] = [await open(), await open()];
    try {
      await using here = await testControl({ database: ours });
      await using there = await testControl({ database: theirs });
      await Promise.all([here.control.start(), there.control.start()]);
      const { agentId } = await made(here);
      assert.equal((await there.control.workspaces.find('web'))?.agentId, agentId);
      const heard = new Promise<string>((resolve) => {
        there.control.agents.onRevoked((id) => resolve(id));
      });
      const began = performance.now();
      await here.call(here.alice, 'DELETE', '/workspaces/web');
      assert.equal(await heard, agentId);
      assert.ok(performance.now() - began < 1_000, 'within a second');
      assert.equal(await there.control.workspaces.find('web'), undefined);
    } finally {
      await Promise.all([ours.close(), theirs.close()]);
      await rm(directory, { recursive: true });
    }
  });
});

describe('what links report', () => {
  it('is written in batches, and the last of it on stop', async () => {
    await using t = await testControl();
    const { agentId } = await made(t);
    await t.control.start();
    const at = t.clock.now();
    const row = () =>
      t.database.kysely
        .selectFrom('tunnel_agents')
        .select(['connected_since', 'last_seen_at'])
        .executeTakeFirstOrThrow();
    for (let i = 0; i < 1_000; i += 1) t.control.agents.connected(agentId, at + i);
    for (let i = 0; i < 999; i += 1) t.control.agents.disconnected(agentId, at + 2_000 + i);
    assert.deepEqual(await row(), { connected_since: null, last_seen_at: null });
    await t.control.stop();
    assert.deepEqual(await row(), { connected_since: at, last_seen_at: at + 2_998 });
  });

  it('is forgotten at start: nobody is connected to a relay that just starts', async () => {
    await using t = await testControl();
    await made(t);
    await t.database.kysely.updateTable('tunnel_agents').set({ connected_since: 7 }).execute();
    await t.control.start();
    const { agent } = (await t.call(t.alice, 'GET', '/workspaces/web')).body;
    assert.equal(agent, null);
  });

  it('never throws, also for agents nobody knows', async () => {
    await using t = await testControl();
    t.control.agents.disconnected('nobody', 1);
    t.control.agents.connected('nobody', 1);
    t.control.agents.disconnected('nobody', 2);
    t.control.agents.disconnected('nobody', 3);
  });
});
