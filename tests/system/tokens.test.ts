// Agent tokens that are wrong, taken away, or used twice.
import assert from 'node:assert/strict';
import { createServer, get, type IncomingMessage } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import { ensureAgentBundle } from '../../scripts/lib/agent-bundle.ts';
import { startAgentProcess, type AgentProcess } from '../harness/agent-process.ts';
import { startBurrow, type Burrow } from '../harness/burrow.ts';
import { eventually } from '../harness/eventually.ts';

async function agentWith(t: TestContext, burrow: Burrow, token: string): Promise<AgentProcess> {
  const agent = startAgentProcess(await ensureAgentBundle(), {
    BURROW_RELAY_URL: `http://127.0.0.1:${burrow.port}`,
    BURROW_AGENT_TOKEN: token,
  });
  t.after(() => agent.stop());
  return agent;
}

test(
  'an unknown token is final: own exit code, and a log line that says so',
  { timeout: 20_000 },
  async (t) => {
    await using burrow = await startBurrow();
    const token = `burrow_agt_${'A'.repeat(43)}`;
    const agent = await agentWith(t, burrow, token);
    assert.equal(await agent.exited, 3);
    assert.match(agent.log, /unknown/i);
    assert.ok(!agent.log.includes(token));
  },
);

test(
  'a malformed token is a fault of the configuration, found without asking',
  { timeout: 20_000 },
  async (t) => {
    await using burrow = await startBurrow();
    const agent = await agentWith(t, burrow, 'hunter2hunter2');
    assert.equal(await agent.exited, 2);
    assert.ok(!agent.log.includes('hunter2hunter2'));
  },
);

test(
  'terminating a workspace cuts its agent and its streams within a second',
  { timeout: 30_000 },
  async (t) => {
    await using burrow = await startBurrow({ workspace: 'gone' });
    const agent = await burrow.startAgent('gone');
    const app = createServer((_request, response) => response.write('data: 1\n\n'));
    app.listen(0, '127.0.0.1');
    t.after(() => {
      app.closeAllConnections();
      app.close();
    });
    await once(app, 'listening');
    const url = burrow.appUrl('gone', (app.address() as AddressInfo).port);
    const asked = get({
      host: '127.0.0.1',
      port: burrow.port,
      headers: { host: new URL(url).host, 'burrow-authorization': `Bearer ${burrow.token}` },
      agent: false,
    });
    const [response] = (await once(asked, 'response')) as [IncomingMessage];
    await once(response, 'data');
    const stream = once(response, 'end').then(
      () => 'ended',
      () => 'cut',
    );
    const start = performance.now();
    const deleted = await burrow.send('/api/v1/workspaces/gone', { method: 'DELETE' });
    assert.ok(deleted.status < 300, deleted.text);
    assert.equal(await stream, 'cut');
    assert.ok(
      performance.now() - start < 1000,
      `the stream lived on for ${performance.now() - start} ms`,
    );
    assert.equal(await agent.exited, 4);
    assert.equal((await burrow.send(url)).status, 404);
  },
);

test(
  'a second process with the same token takes over; the first one is told, and does not fight',
  { timeout: 40_000 },
  async (t) => {
    await using burrow = await startBurrow();
    const { environment } = await burrow.createWorkspace('twin');
    assert.ok(environment);
    const first = await burrow.startAgent('twin');
    const second = await agentWith(t, burrow, environment.BURROW_AGENT_TOKEN);
    await eventually('the second one has the place', () => second.log.includes('"linked"'));
    await eventually('the first one is told why', () =>
      /newer process|taken over|same agent token/i.test(first.log),
    );
    const links = second.log.split('"linked"').length;
    const { agent } = await burrow.showWorkspace('twin');
    assert.ok(agent && agent.links <= 2, `${agent?.links} links`);
    // Both stay as they are: no throwing out in turns.
    await first.stop();
    assert.ok(second.log.split('"linked"').length <= links + 1, second.log);
    assert.equal((await burrow.showWorkspace('twin')).state, 'running');
  },
);
