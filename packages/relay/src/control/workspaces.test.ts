import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { WORKSPACE_NAME } from '@burrow/api';
import type { Presence } from '../routing/router.ts';
import { testControl, type TestControl } from './testing.ts';
import { generateName } from './workspaces/generate-name.ts';

async function eventually(check: () => boolean | Promise<boolean>): Promise<void> {
  const began = performance.now();
  while (performance.now() - began < 10_000) {
    if (await check()) return;
    await setImmediate();
  }
  assert.fail(`did not become true: ${String(check)}`);
}

async function agentOf(t: TestControl, name: string): Promise<string> {
  const route = await t.control.workspaces.find(name);
  assert.ok(route);
  return route.agentId;
}

describe('POST /workspaces', () => {
  it('answers name, URL, state and the environment of its agent', async () => {
    await using t = await testControl();
    const made = await t.call(t.alice, 'POST', '/workspaces', { name: 'web', driver: 'external' });
    assert.equal(made.status, 201);
    assert.equal(made.headers['location'], '/api/v1/workspaces/web');
    const { id, environment, ...rest } = made.body;
    assert.match(id, /^[0-9a-f-]{36}$/);
    assert.deepEqual(rest, {
      name: 'web',
      url: 'http://web.localhost:8080',
      state: 'starting',
      driver: 'external',
      editorPort: 60_001,
      createdAt: new Date(t.clock.now()).toISOString(),
      agent: null,
      ssh: { server: 'none', hostKey: null, user: null },
    });
    assert.equal(environment.BURROW_RELAY_URL, 'http://localhost:8080');
    assert.match(environment.BURROW_AGENT_TOKEN, /^burrow_agt_[A-Za-z0-9_-]{43}$/);
    const agent = await t.control.agents.authenticate(environment.BURROW_AGENT_TOKEN);
    assert.deepEqual(agent, {
      agentId: await agentOf(t, 'web'),
      workspaceId: id,
      workspaceName: 'web',
    });
  });

  it('shows the token never again, keeps only its hash, and never logs it', async () => {
    await using t = await testControl();
    const made = await t.call(t.alice, 'POST', '/workspaces', { name: 'web', driver: 'external' });
    const token = made.body.environment.BURROW_AGENT_TOKEN;
    for (const path of ['/workspaces', '/workspaces/web']) {
      assert.ok(!JSON.stringify((await t.call(t.alice, 'GET', path)).body).includes('burrow_agt'));
    }
    const rows = await t.database.kysely.selectFrom('tunnel_agents').selectAll().execute();
    assert.ok(!JSON.stringify(rows).includes(token));
    assert.ok(!t.logged.join().includes(token));
  });

  it('makes up a fitting name when there is none', async () => {
    await using t = await testControl();
    const { status, body } = await t.call(t.alice, 'POST', '/workspaces', { driver: 'external' });
    assert.equal(status, 201);
    assert.match(body.name, /^[a-z]+-[a-z]+-[a-z]+$/);
    for (let i = 0; i < 500; i += 1) {
      const name = generateName();
      assert.ok(name.length < 34 && WORKSPACE_NAME.test(name), name);
    }
  });

  it('refuses a name that is taken, also by somebody else; a terminated one is free', async () => {
    await using t = await testControl();
    const make = (who = t.alice) =>
      t.call(who, 'POST', '/workspaces', { name: 'web', driver: 'external' });
    assert.equal((await make()).status, 201);
    for (const who of [t.alice, t.bob]) {
      const { status, body } = await make(who);
      assert.equal(status, 409);
      assert.equal(body.error.code, 'conflict');
      assert.match(body.error.message, /"web" exists already/);
    }
    assert.equal((await t.call(t.alice, 'DELETE', '/workspaces/web')).status, 204);
    assert.equal((await make(t.bob)).status, 201);
  });

  it('refuses what is not valid and says which field', async () => {
    await using t = await testControl();
    const external = { driver: 'external' };
    const cases: [object, RegExp][] = [
      [{ ...external, name: 'Web' }, /^body\.name$/],
      [{ ...external, name: '3000-web' }, /^body\.name$/],
      [{ ...external, name: 'a'.repeat(35) }, /^body\.name$/],
      [{ ...external, name: 'xn--bcher-kva' }, /^body\.name$/],
      [{ ...external, name: 'web-' }, /^body\.name$/],
      [{ ...external, name: 'burrow' }, /^body\.name$/],
      [{ ...external, owner: 'me' }, /^body$/],
      [{ driver: 'docker' }, /^body\.driver$/],
      [{}, /^body\.driver$/],
      [{ ...external, editorPort: 0 }, /^body\.editorPort$/],
      [{ ...external, editorPort: 65_536 }, /^body\.editorPort$/],
      [{ ...external, ports: [{ port: 1 }, { port: 1 }] }, /^body\.ports$/],
      [{ ...external, ports: [{ port: 1, corsOrigins: ['*'] }] }, /^body\.ports\.0\.corsOrigins/],
    ];
    for (const [body, path] of cases) {
      const answer = await t.call(t.alice, 'POST', '/workspaces', body);
      assert.equal(answer.status, 400, JSON.stringify(body));
      assert.equal(answer.body.error.code, 'bad-request');
      assert.equal(answer.body.error.blame, 'client');
      assert.equal(answer.body.error.requestId, answer.headers['x-request-id']);
      assert.match(answer.body.error.details[0].path, path, JSON.stringify(answer.body));
    }
    assert.deepEqual((await t.call(t.root, 'GET', '/workspaces')).body, { workspaces: [] });
  });

  it('keeps a bound on the workspaces of one person', async () => {
    await using t = await testControl({
      config: { domain: 'localhost', publicUrl: new URL('http://localhost'), maxWorkspaces: 1 },
    });
    const make = () => t.call(t.alice, 'POST', '/workspaces', { driver: 'external' });
    assert.equal((await make()).status, 201);
    const refused = await make();
    assert.deepEqual([refused.status, refused.body.error.blame], [403, 'policy']);
  });

  it('takes a body of at most 1 MiB, of JSON', async () => {
    await using t = await testControl();
    const big = { driver: 'external', name: 'x'.repeat(1024 * 1024) };
    assert.equal((await t.call(t.alice, 'POST', '/workspaces', big)).status, 413);
    const headers = { authorization: 'Bearer alice', 'content-type': 'application/json' };
    const inject = { method: 'POST', url: '/api/v1/workspaces', headers } as const;
    const broken = await t.control.app.inject({ ...inject, payload: '{"driver":' });
    assert.equal(broken.statusCode, 400);
    assert.equal(broken.json().error.code, 'bad-request');
    const form = await t.control.app.inject({
      ...inject,
      headers: { ...headers, 'content-type': 'text/plain' },
      payload: '{}',
    });
    assert.equal(form.statusCode, 415);
  });
});

describe('who may see and change a workspace', () => {
  it('its owner and admins; for others it does not exist', async () => {
    await using t = await testControl();
    await t.call(t.alice, 'POST', '/workspaces', { name: 'web', driver: 'external' });
    const verbs: ['GET' | 'PUT' | 'POST' | 'DELETE', string, object?][] = [
      ['GET', '/workspaces/web'],
      ['GET', '/workspaces/web/ports/80'],
      ['PUT', '/workspaces/web/ports/80', {}],
      ['DELETE', '/workspaces/web/ports/80'],
      ['POST', '/workspaces/web/agent-token'],
      ['DELETE', '/workspaces/web'],
    ];
    for (const [method, path, body] of verbs) {
      const theirs = await t.call(t.bob, method, path, body);
      assert.equal(theirs.status, 404, `${method} ${path}`);
      const none = await t.call(t.bob, method, path.replace('web', 'nil'), body);
      assert.equal(theirs.body.error.code, none.body.error.code);
      const nobody = await t.call(undefined, method, path, body);
      assert.equal(nobody.status, 401);
      assert.equal(nobody.headers['www-authenticate'], 'Bearer');
    }
    const lists = await Promise.all(
      [t.alice, t.bob, t.root].map((who) => t.call(who, 'GET', '/workspaces')),
    );
    assert.deepEqual(
      lists.map((list) => list.body.workspaces.length),
      [1, 0, 1],
    );
    for (const [method, path, body] of verbs) {
      const { status } = await t.call(t.root, method, path, body);
      assert.ok(status < 300, `${method} ${path}: ${status}`);
    }
  });
});

describe('GET /workspaces/:name', () => {
  it('follows its agent: starting, running, disconnected, running', async () => {
    await using t = await testControl();
    await t.call(t.alice, 'POST', '/workspaces', { name: 'web', driver: 'external' });
    const show = async () => (await t.call(t.alice, 'GET', '/workspaces/web')).body;
    const agentId = await agentOf(t, 'web');
    assert.equal((await show()).state, 'starting');

    const since = t.clock.now();
    t.control.agents.connected(agentId, since);
    t.control.agents.connected(agentId, since + 5);
    const hello = {
      listeningPorts: [3000],
      software: 'burrow-agent/1',
      sshServer: 'none',
      sshHostKey: '',
      sshUser: '',
    } as unknown as Presence['hello'];
    t.presence.set(agentId, { links: 2, connectedSince: since, hello });
    t.clock.advance(2_000);
    const running = await show();
    assert.equal(running.state, 'running');
    assert.deepEqual(running.agent, {
      connectedSince: new Date(since).toISOString(),
      lastSeen: new Date(since + 2_000).toISOString(),
      links: 2,
      listeningPorts: [3000],
      software: 'burrow-agent/1',
    });

    t.control.agents.disconnected(agentId, since + 3_000);
    t.control.agents.disconnected(agentId, since + 4_000);
    t.presence.delete(agentId);
    const gone = await show();
    assert.equal(gone.state, 'disconnected');
    assert.equal(gone.agent.connectedSince, null);
    assert.equal(gone.agent.lastSeen, new Date(since + 4_000).toISOString());
  });

  it('answers 404 for names that nobody could have', async () => {
    await using t = await testControl();
    for (const name of ['nil', 'UPPER', '..%2f..', '%00', 'x'.repeat(90)]) {
      assert.equal((await t.call(t.root, 'GET', `/workspaces/${name}`)).status, 404, name);
    }
    assert.equal((await t.call(t.root, 'GET', '/nothing/here')).body.error.code, 'not-found');
  });
});

describe('DELETE /workspaces/:name', () => {
  it('ends it: gone from the API, its token revoked, its route unknown', async () => {
    await using t = await testControl();
    const made = await t.call(t.alice, 'POST', '/workspaces', { name: 'web', driver: 'external' });
    await agentOf(t, 'web');
    assert.equal((await t.call(t.alice, 'DELETE', '/workspaces/web')).status, 204);
    assert.equal((await t.call(t.alice, 'GET', '/workspaces/web')).status, 404);
    assert.equal((await t.call(t.alice, 'DELETE', '/workspaces/web')).status, 404);
    assert.equal(await t.control.workspaces.find('web'), undefined);
    await assert.rejects(t.control.agents.authenticate(made.body.environment.BURROW_AGENT_TOKEN), {
      code: 'token-revoked',
      message: /terminated/,
    });
    assert.equal(
      (await t.database.kysely.selectFrom('tunnel_agents').selectAll().execute()).length,
      0,
    );
  });

  it('two at once: one wins', async () => {
    await using t = await testControl();
    await t.call(t.alice, 'POST', '/workspaces', { name: 'web', driver: 'external' });
    const both = await Promise.all([1, 2].map(() => t.call(t.alice, 'DELETE', '/workspaces/web')));
    assert.deepEqual(new Set(both.map(({ status }) => status)), new Set([204, 404]));
  });
});

describe('POST /workspaces/:name/agent-token', () => {
  it('replaces the token; the old one is revoked', async () => {
    await using t = await testControl();
    const made = await t.call(t.alice, 'POST', '/workspaces', { name: 'web', driver: 'external' });
    const fresh = await t.call(t.alice, 'POST', '/workspaces/web/agent-token');
    assert.equal(fresh.status, 200);
    assert.equal(fresh.body.environment.BURROW_RELAY_URL, 'http://localhost:8080');
    await t.control.agents.authenticate(fresh.body.environment.BURROW_AGENT_TOKEN);
    await assert.rejects(t.control.agents.authenticate(made.body.environment.BURROW_AGENT_TOKEN), {
      code: 'token-revoked',
      message: /replaced/,
    });
  });
});

describe('/workspaces/:name/ports/:port', () => {
  it('defaults, set, show, reset; routing sees it at once', async () => {
    await using t = await testControl();
    await t.call(t.alice, 'POST', '/workspaces', {
      name: 'web',
      driver: 'external',
      ports: [{ port: 8443, protocol: 'https' }],
    });
    const defaults = { protocol: 'http', host: 'preserve', corsOrigins: [] };
    const url = (port: number) => `http://${port}-web.localhost:8080`;
    const path = '/workspaces/web/ports/3000';
    const before = await t.call(t.alice, 'GET', path);
    assert.deepEqual(before.body, { port: 3000, ...defaults, url: url(3000) });
    assert.deepEqual(
      [...(await t.control.workspaces.find('web'))!.ports],
      [[8443, { ...defaults, protocol: 'https' }]],
    );
    const settings = {
      protocol: 'h2c',
      host: 'localhost',
      corsOrigins: ['https://app.example.com', 'http://localhost:5173'],
    };
    const set = await t.call(t.alice, 'PUT', path, settings);
    assert.deepEqual([set.status, set.body], [200, { port: 3000, ...settings, url: url(3000) }]);
    assert.deepEqual((await t.control.workspaces.find('web'))!.ports.get(3000), settings);
    assert.deepEqual((await t.call(t.alice, 'PUT', path, {})).body, before.body);
    for (const _twice of [1, 2]) {
      assert.equal((await t.call(t.alice, 'DELETE', path)).status, 204);
    }
    assert.equal((await t.control.workspaces.find('web'))!.ports.has(3000), false);
  });

  it('refuses ports and origins that are none', async () => {
    await using t = await testControl();
    await t.call(t.alice, 'POST', '/workspaces', { name: 'web', driver: 'external' });
    for (const port of ['0', '65536', '-1', '1e3', '080', 'http', '99999999']) {
      const { status } = await t.call(t.alice, 'PUT', `/workspaces/web/ports/${port}`, {});
      assert.equal(status, 400, port);
    }
    for (const origin of [
      '*',
      'null',
      'https://a.example/',
      'https://A.example',
      'https://a.example:443',
      'ftp://a.example',
      'https://u:p@a.example',
    ]) {
      const answer = await t.call(t.alice, 'PUT', '/workspaces/web/ports/80', {
        corsOrigins: [origin],
      });
      assert.equal(answer.status, 400, origin);
    }
    const extra = { protocol: 'http', tls: true };
    assert.equal((await t.call(t.alice, 'PUT', '/workspaces/web/ports/80', extra)).status, 400);
  });
});

describe('a local workspace', () => {
  const wanted = { name: 'demo', driver: 'local' } as const;

  it('is started by its driver, with a token that works and no environment in the answer', async () => {
    await using t = await testControl();
    const made = await t.call(t.root, 'POST', '/workspaces', wanted);
    assert.equal(made.status, 201);
    assert.equal(made.body.environment, undefined);
    assert.equal(made.body.state, 'starting');
    await eventually(async () => (await t.control.workspaces.find('demo'))?.editorPort === 4321);
    const [start] = t.local.started;
    assert.equal(start!.workspace.name, 'demo');
    assert.equal(start!.options.relayUrl, 'http://localhost:8080');
    assert.deepEqual(start!.options.env, {
      VSCODE_PROXY_URI: 'http://{{port}}-demo.localhost:8080/',
    });
    const agent = await t.control.agents.authenticate(start!.options.agentToken);
    assert.equal((await t.control.workspaces.find('demo'))!.state, 'starting');
    t.control.agents.connected(agent.agentId, t.clock.now());
    assert.equal((await t.control.workspaces.find('demo'))!.state, 'running');
    assert.equal((await t.call(t.root, 'DELETE', '/workspaces/demo')).status, 204);
    assert.deepEqual(t.local.stopped, [made.body.id]);
  });

  it('is for administrators', async () => {
    await using t = await testControl();
    const { status, body } = await t.call(t.alice, 'POST', '/workspaces', wanted);
    assert.deepEqual([status, body.error.code], [403, 'forbidden']);
  });

  it('tells why it failed to start, or ended', async () => {
    await using t = await testControl();
    t.local.result = () => Promise.reject(new Error('secret detail'));
    await t.call(t.root, 'POST', '/workspaces', wanted);
    const show = async () => (await t.call(t.root, 'GET', '/workspaces/demo')).body;
    await eventually(async () => (await show()).state === 'failed');
    assert.match((await show()).stateReason, /could not be started; the relay's log says why/);
    assert.equal((await t.control.workspaces.find('demo'))!.state, 'failed');

    t.local.result = async () => ({});
    await t.call(t.root, 'POST', '/workspaces', { name: 'other', driver: 'local' });
    await eventually(() => t.local.started.length === 2);
    t.local.started[1]!.options.onExit('The editor ended with code 1.');
    await eventually(async () => (await t.control.workspaces.find('other'))?.state === 'failed');
  });

  it('starts again with the relay, with a fresh token', async () => {
    await using first = await testControl();
    await first.control.start();
    const ensured = await first.control.ensureWorkspace(first.root, wanted);
    await eventually(() => first.local.started.length === 1);
    const token = first.local.started[0]!.options.agentToken;
    await first.control.stop();
    await first.control.stop();
    assert.deepEqual(first.local.stopped, ['*']);

    await using second = await testControl({ database: first.database });
    await second.control.start();
    await eventually(() => second.local.started.length === 1);
    const again = second.local.started[0]!;
    assert.equal(again.workspace.id, ensured.id);
    await second.control.agents.authenticate(again.options.agentToken);
    await assert.rejects(second.control.agents.authenticate(token), { code: 'token-revoked' });
    assert.equal((await second.control.ensureWorkspace(second.root, wanted)).id, ensured.id);
    assert.equal(second.local.started.length, 1);
  });
});

describe('the app', () => {
  it('describes itself, without a sign-in', async () => {
    await using t = await testControl();
    const { status, body } = await t.call(undefined, 'GET', '/openapi.json');
    assert.equal(status, 200);
    assert.match(body.openapi, /^3\./);
    assert.deepEqual(Object.keys(body.paths).sort(), [
      '/api/v1/audit-events',
      '/api/v1/cluster',
      '/api/v1/cluster/channels',
      '/api/v1/cluster/channels/{id}/trace',
      '/api/v1/ssh/user-ca',
      '/api/v1/user',
      '/api/v1/user/keys',
      '/api/v1/user/keys/{id}',
      '/api/v1/user/tokens',
      '/api/v1/user/tokens/{id}',
      '/api/v1/workspaces',
      '/api/v1/workspaces/{name}',
      '/api/v1/workspaces/{name}/agent-token',
      '/api/v1/workspaces/{name}/ports/{port}',
      '/api/v1/workspaces/{name}/ssh-certificate',
    ]);
    assert.ok(body.components.schemas.Workspace);
    // Agents are nowhere but as part of their workload.
    assert.ok(!JSON.stringify(Object.keys(body.paths)).includes('/agents'));
  });

  it('says nothing of an unforeseen failure but its request id', async () => {
    await using t = await testControl();
    await t.database.close();
    const { status, body, headers } = await t.call(t.alice, 'GET', '/workspaces');
    assert.equal(status, 503);
    assert.equal(body.error.code, 'unavailable');
    assert.equal(body.error.requestId, headers['x-request-id']);
    assert.ok(t.logged.some((line) => line.includes(body.error.requestId)));
  });
});

describe('/user', () => {
  it('says who one is, and keeps access tokens', async () => {
    await using t = await testControl();
    const me = await t.call(t.alice, 'GET', '/user');
    assert.deepEqual(me.body, { id: t.alice.userId, username: 'alice', admin: false });
    const made = await t.call(t.alice, 'POST', '/user/tokens', { name: 'ci', expiresInDays: 7 });
    assert.equal(made.status, 201);
    assert.match(made.body.token, /^burrow_pat_[A-Za-z0-9_-]{43}$/);
    const expiresAt = new Date(t.clock.now() + 7 * 86_400_000).toISOString();
    const listed = await t.call(t.alice, 'GET', '/user/tokens');
    assert.deepEqual(listed.body.tokens, [
      {
        id: made.body.id,
        name: 'ci',
        createdAt: new Date(t.clock.now()).toISOString(),
        expiresAt,
      },
    ]);
    const path = `/user/tokens/${made.body.id}`;
    assert.equal((await t.call(t.bob, 'DELETE', path)).status, 404);
    assert.equal((await t.call(t.alice, 'DELETE', path)).status, 204);
    assert.equal((await t.call(t.alice, 'DELETE', path)).status, 404);
    assert.deepEqual((await t.call(t.alice, 'GET', '/user/tokens')).body, { tokens: [] });
    assert.equal((await t.call(t.alice, 'POST', '/user/tokens', { name: ' ' })).status, 400);
  });
});
