import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { generateHostKey } from '@burrow/ssh';
import type { Presence } from '../../routing/router.ts';
import { sshFactsOf } from './facts.ts';
import { testControl, type TestControl } from '../testing.ts';

async function made(t: TestControl, name: string): Promise<string> {
  await t.call(t.alice, 'POST', '/workspaces', { name, driver: 'external' });
  const route = await t.control.workspaces.find(name);
  assert.ok(route);
  return route.agentId;
}

const shown = async (t: TestControl, name = 'web') =>
  (await t.call(t.alice, 'GET', `/workspaces/${name}`)).body.ssh;

/** Stopping writes what waits; the app answers no more, so rows are read. */
async function rowAfterStop(t: TestControl) {
  await t.control.stop();
  return t.database.kysely
    .selectFrom('workspaces')
    .select(['ssh_server', 'ssh_host_key', 'ssh_user'])
    .executeTakeFirstOrThrow();
}

const hello = (hostKey: string, server = 'built-in', user = '') =>
  ({ sshServer: server, sshHostKey: hostKey, sshUser: user }) as Presence['hello'];

describe('the SSH host key of a workspace', () => {
  it('is remembered, also by a relay that starts later', async () => {
    await using t = await testControl();
    const agentId = await made(t, 'web');
    assert.deepEqual(await shown(t), { server: 'none', hostKey: null, user: null });
    const { publicLine } = generateHostKey();
    t.control.agents.connected(agentId, t.clock.now(), hello(publicLine, 'sshd', 'dev'));
    await t.control.stop();
    await using later = await testControl({ database: t.database });
    assert.deepEqual(await shown(later), { server: 'sshd', hostKey: publicLine, user: 'dev' });
    assert.deepEqual(
      t.audited.map(({ action }) => action).filter((a) => a.startsWith('ssh')),
      [],
    );
  });

  it('is shown at once while the agent is connected', async () => {
    await using t = await testControl();
    const agentId = await made(t, 'web');
    const { publicLine } = generateHostKey();
    t.presence.set(agentId, {
      links: 1,
      connectedSince: t.clock.now(),
      hello: { ...hello(publicLine), listeningPorts: [], software: 'x' },
    });
    assert.deepEqual(await shown(t), { server: 'built-in', hostKey: publicLine, user: null });
  });

  it('is taken over when it changes, with a warning and an audit event', async () => {
    await using t = await testControl();
    const agentId = await made(t, 'web');
    const [old, young] = [generateHostKey(), generateHostKey()];
    t.control.agents.connected(agentId, t.clock.now(), hello(old.publicLine));
    await t.control.stop();
    await using later = await testControl({ database: t.database });
    later.control.agents.connected(agentId, t.clock.now(), hello(young.publicLine));
    // The same once more changes nothing.
    assert.equal((await rowAfterStop(later)).ssh_host_key, young.publicLine);
    assert.deepEqual(later.audited, [
      {
        action: 'ssh.host-key-changed',
        outcome: 'ok',
        workspace: 'web',
        detail: `${old.fingerprint} to ${young.fingerprint}`,
      },
    ]);
    assert.match(later.logged.join('\n'), /host key has changed/);
  });

  it('outlives a time without SSH', async () => {
    await using t = await testControl();
    const agentId = await made(t, 'web');
    const { publicLine } = generateHostKey();
    t.control.agents.connected(agentId, t.clock.now(), hello(publicLine));
    await t.control.stop();
    await using later = await testControl({ database: t.database });
    later.control.agents.connected(agentId, t.clock.now(), hello('', 'none'));
    assert.deepEqual(await rowAfterStop(later), {
      ssh_server: 'none',
      ssh_host_key: publicLine,
      ssh_user: null,
    });
    assert.deepEqual(later.audited, []);
  });

  it('is nothing but one key, and the user a plain name', () => {
    const { publicLine } = generateHostKey();
    const none = { server: 'sshd', hostKey: null, user: null };
    for (const [key, user] of [
      ['', ''],
      [`${publicLine}\n* ssh-ed25519 AAAA`, 'root\n'],
      [`* ${publicLine}`, 'a b'],
      [`@cert-authority ${publicLine}`, '-oProxyCommand=x'],
      [`${publicLine} comment`, 'x'.repeat(33)],
    ] as const) {
      assert.deepEqual(sshFactsOf(hello(key, 'sshd', user)), none, key);
    }
    assert.deepEqual(sshFactsOf(hello(publicLine, 'sshd', 'dev.1')), {
      server: 'sshd',
      hostKey: publicLine,
      user: 'dev.1',
    });
  });
});
