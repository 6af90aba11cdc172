import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { generateHostKey } from '@burrow/ssh';
import type { Presence } from '../../routing/router.ts';
import { testControl, type TestControl } from '../testing.ts';
import { loadUserCaKey } from './user-ca.ts';

const folder = mkdtempSync(join(tmpdir(), 'burrow-user-ca-'));
after(() => rmSync(folder, { recursive: true }));

/** A workspace of Alice's whose agent reports this. */
async function workspace(t: TestControl, sshServer: string, sshUser: string): Promise<void> {
  await t.call(t.alice, 'POST', '/workspaces', { name: 'web', driver: 'external' });
  const route = await t.control.workspaces.find('web');
  const hello = { sshServer, sshUser, sshHostKey: '', listeningPorts: [], software: 'x' };
  t.presence.set(route?.agentId ?? '', {
    links: 1,
    connectedSince: t.clock.now(),
    hello: hello as unknown as Presence['hello'],
  });
}

describe('POST /workspaces/:name/ssh-certificate', () => {
  it('certifies a key for the account that the agent names, for 5 minutes', async () => {
    await using t = await testControl();
    await workspace(t, 'sshd', 'dev');
    const { publicLine: publicKey, fingerprint } = generateHostKey();
    const path = '/workspaces/web/ssh-certificate';
    const { status, body } = await t.call(t.alice, 'POST', path, { publicKey });
    assert.equal(status, 201);
    assert.equal(body.principal, 'dev');
    assert.equal(body.expiresAt, new Date(t.clock.now() + 300_000).toISOString());

    const file = join(folder, 'cert.pub');
    writeFileSync(file, body.certificate);
    const env = { ...process.env, TZ: 'UTC' };
    const shown = execFileSync('ssh-keygen', ['-L', '-f', file], { env }).toString();
    const second = (at: number): string => new Date(at).toISOString().slice(0, 19);
    const [from, to] = [second(t.clock.now() - 60_000), second(t.clock.now() + 300_000)];
    const ca = (await t.call(t.alice, 'GET', '/ssh/user-ca')).body;
    for (const text of [
      `Public key: ED25519-CERT ${fingerprint}`,
      `Signing CA: ED25519 ${ca.fingerprint}`,
      'Key ID: "burrow: alice to web"',
      `Serial: ${body.serial}`,
      `Valid: from ${from} to ${to}`,
    ]) {
      assert.ok(shown.includes(text), `${text}\n${shown}`);
    }
    assert.match(shown, /Principals: \n +dev\n +burrow:web\n/);
    assert.match(ca.publicKey, /^ssh-ed25519 [A-Za-z0-9+/]+=*$/);
    assert.deepEqual(t.audited.at(-1), {
      action: 'ssh.certificate-issued',
      outcome: 'ok',
      userId: t.alice.userId,
      username: 'alice',
      address: '127.0.0.1',
      workspace: 'web',
      detail: `serial ${body.serial} for dev, key ${fingerprint}`,
    });
  });

  it('is for those who may open the workspace', async () => {
    await using t = await testControl();
    await workspace(t, 'sshd', 'dev');
    const body = { publicKey: generateHostKey().publicLine };
    const path = '/workspaces/web/ssh-certificate';
    assert.equal((await t.call(t.bob, 'POST', path, body)).body.error.code, 'workspace-unknown');
    assert.equal((await t.call(undefined, 'POST', path, body)).status, 401);
    assert.equal((await t.call(t.root, 'POST', path, body)).status, 201);
  });

  it('says why there is none', async () => {
    for (const [server, user, says] of [
      ['built-in', '', /reports no sshd.*takes the keys of your account/],
      ['none', '', /reports no sshd/],
      ['sshd', '', /name the user/],
      ['sshd', 'root,dev', /name the user/],
    ] as const) {
      await using t = await testControl();
      await workspace(t, server, user);
      const body = { publicKey: generateHostKey().publicLine };
      const answer = await t.call(t.alice, 'POST', '/workspaces/web/ssh-certificate', body);
      assert.deepEqual([answer.status, answer.body.error.blame], [409, 'agent']);
      assert.match(answer.body.error.message, says);
    }
    await using t = await testControl();
    await workspace(t, 'sshd', 'dev');
    const bad = await t.call(t.alice, 'POST', '/workspaces/web/ssh-certificate', {
      publicKey: generateHostKey().privateKey,
    });
    assert.equal(bad.status, 400);
    assert.match(bad.body.error.message, /private key/);
  });
});

describe("the authority's key", () => {
  it('is made once in the data folder, readable by its owner only', async () => {
    const made = await loadUserCaKey(folder, undefined);
    const file = join(folder, 'ssh_user_ca_ed25519_key');
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.deepEqual(await loadUserCaKey(folder, undefined), made);
    assert.deepEqual(await loadUserCaKey('/nowhere', file), made);
    assert.equal(readFileSync(file, 'utf8'), made.privateKey);
  });

  it('is ed25519, and never made where the configuration names one', async () => {
    const rsa = join(folder, 'rsa');
    execFileSync('ssh-keygen', ['-q', '-t', 'rsa', '-b', '2048', '-N', '', '-f', rsa]);
    const absent = join(folder, 'absent');
    for (const file of [rsa, absent, `${rsa}.pub`]) {
      await assert.rejects(loadUserCaKey(folder, file), (error: Error & { code: string }) => {
        assert.equal(error.code, 'config-invalid');
        assert.ok(error.message.includes(file));
        return true;
      });
    }
    assert.throws(() => statSync(absent));
  });
});
