import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createClient, type Client } from '@burrow/api';
import { generateHostKey } from '@burrow/ssh';
import { testControl, type TestControl } from './testing.ts';

/** The published client, over the real app. */
function clientOf(t: TestControl, token: string): Client {
  const over = async (url: string, init: RequestInit): Promise<Response> => {
    const answer = await t.control.app.inject({
      method: init.method as 'GET',
      url: url.slice(new URL(url).origin.length),
      headers: init.headers as Record<string, string>,
      ...(init.body ? { payload: init.body as string } : {}),
    });
    const empty = answer.statusCode === 204;
    return new Response(empty ? null : answer.body, { status: answer.statusCode });
  };
  return createClient({
    baseUrl: 'http://localhost:8080',
    token,
    fetch: over as unknown as typeof fetch,
  });
}

describe('the published client', () => {
  it('understands every answer of the API', async () => {
    await using t = await testControl();
    const client = clientOf(t, 'alice');
    const made = await client.workspaces.create({ name: 'web', driver: 'external' });
    const { environment, ...shown } = made;
    assert.ok(environment);
    assert.deepEqual(await client.workspaces.list(), [shown]);
    assert.deepEqual(await client.workspaces.show('web'), shown);
    const rotated = await client.workspaces.rotateAgentToken('web');
    assert.notEqual(rotated.environment.BURROW_AGENT_TOKEN, environment.BURROW_AGENT_TOKEN);
    const port = await client.workspaces.setPort('web', 80, { host: 'localhost' });
    assert.deepEqual(await client.workspaces.port('web', 80), port);
    await client.workspaces.resetPort('web', 80);
    assert.equal((await client.workspaces.port('web', 80)).host, 'preserve');
    await client.workspaces.terminate('web');
    await assert.rejects(client.workspaces.show('web'), {
      status: 404,
      code: 'workspace-unknown',
      blame: 'client',
    });

    assert.equal((await client.user.show()).username, 'alice');
    const token = await client.user.createToken({ name: 'ci' });
    assert.deepEqual(
      (await client.user.tokens()).map(({ id }) => id),
      [token.id],
    );
    await client.user.revokeToken(token.id);
    const key = await client.user.addKey({ title: 'k', key: generateHostKey().publicLine });
    assert.deepEqual(await client.user.keys(), [key]);
    assert.deepEqual(await client.user.key(key.id), key);
    await client.user.removeKey(key.id);
    assert.deepEqual(await client.user.keys(), []);
    assert.deepEqual(await clientOf(t, 'root').auditEvents({ action: 'key.added', limit: 10 }), {
      events: [],
      next: null,
    });
    assert.match((await client.sshUserCa()).publicKey, /^ssh-ed25519 /);
    await assert.rejects(client.workspaces.sshCertificate('web', 'x'), {
      code: 'workspace-unknown',
    });
    await assert.rejects(clientOf(t, 'nobody').user.show(), { code: 'unauthenticated' });
  });
});
