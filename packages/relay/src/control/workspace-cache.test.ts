import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { WorkspaceRoute } from './directory.ts';
import { testControl, type TestControl } from './testing.ts';

function make(t: TestControl, name: string) {
  return t.call(t.alice, 'POST', '/workspaces', { name, driver: 'external' });
}

describe('the directory of workspaces', () => {
  it('answers at once what it knows, with one immutable snapshot', async () => {
    await using t = await testControl();
    await make(t, 'web');
    const first = t.control.workspaces.find('web');
    assert.ok(first instanceof Promise, 'the first answer comes from the database');
    const route = await first;
    const again = t.control.workspaces.find('web');
    assert.equal(again, route);
    assert.ok(Object.isFrozen(again));
    assert.equal(route?.state, 'running');
    assert.equal(route?.agentLastSeen, undefined);
  });

  it('asks the database once for many at the same time', async () => {
    await using t = await testControl();
    await make(t, 'web');
    const asked = Array.from({ length: 100 }, () => t.control.workspaces.find('web'));
    assert.equal(new Set(asked).size, 1);
  });

  it('forgets what changes', async () => {
    await using t = await testControl();
    await make(t, 'web');
    const old = (await t.control.workspaces.find('web'))!;
    await t.call(t.alice, 'PUT', '/workspaces/web/ports/80', { host: 'localhost' });
    const changed = (await t.control.workspaces.find('web'))!;
    assert.equal(changed.ports.get(80)?.host, 'localhost');
    assert.equal(old.ports.size, 0);
    t.control.agents.connected(changed.agentId, 77);
    const seen = t.control.workspaces.find('web') as WorkspaceRoute;
    assert.equal(seen.agentLastSeen, 77);
    await t.call(t.alice, 'DELETE', '/workspaces/web');
    assert.equal(await t.control.workspaces.find('web'), undefined);
  });

  it('never keeps what it read before a change', async () => {
    await using t = await testControl();
    await make(t, 'web');
    const reading = t.control.workspaces.find('web');
    const [, before] = await Promise.all([
      t.call(t.alice, 'PUT', '/workspaces/web/ports/80', { host: 'localhost' }),
      reading,
    ]);
    assert.ok(before);
    assert.equal((await t.control.workspaces.find('web'))?.ports.get(80)?.host, 'localhost');
  });

  it('remembers for a second that there is no such workspace, unless it is made', async () => {
    await using t = await testControl();
    assert.equal(await t.control.workspaces.find('web'), undefined);
    assert.equal(t.control.workspaces.find('web'), undefined, 'synchronous now');
    t.clock.advance(1_000);
    assert.ok(t.control.workspaces.find('web') instanceof Promise, 'asks again');
    assert.equal(await t.control.workspaces.find('web'), undefined);
    await make(t, 'web');
    assert.equal((await t.control.workspaces.find('web'))?.name, 'web');
  });

  it('asks no database for names that nobody can have', async () => {
    await using t = await testControl();
    for (const name of ['', 'UPPER', '1st', 'a'.repeat(35), 'a_b', "x'; drop", 'ends-']) {
      assert.equal(t.control.workspaces.find(name), undefined, name);
    }
  });
});
