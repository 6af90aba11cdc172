// An agent that is asked to stop: what nobody uses must not hold it up, what is under way ends first.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import { startBurrow } from '../harness/burrow.ts';
import { eventually } from '../harness/eventually.ts';

async function app(t: TestContext, listener: RequestListener): Promise<number> {
  const server = createServer(listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return (server.address() as AddressInfo).port;
}

test('SIGTERM with idle kept connections: the agent is gone in under 2 s', async (t) => {
  const port = await app(t, (_request, response) => response.end('ok'));
  await using burrow = await startBurrow({ workspace: 'leave' });
  const agent = await burrow.startAgent('leave', { BURROW_AGENT_DRAIN_TIMEOUT: '30' });
  const url = burrow.appUrl('leave', port);
  const answers = await Promise.all([1, 2, 3, 4].map(() => burrow.send(url)));
  assert.deepEqual(
    answers.map(({ status }) => status),
    [200, 200, 200, 200],
  );
  const since = performance.now();
  agent.kill('SIGTERM');
  assert.equal(await agent.exited, 0);
  assert.ok(performance.now() - since < 2_000, `${performance.now() - since} ms`);
});

test('SIGTERM while an answer is under way: it is finished first', async (t) => {
  const begun = Promise.withResolvers<() => void>();
  const port = await app(t, (_request, response) => {
    response.write('begun, ');
    begun.resolve(() => response.end('done'));
  });
  await using burrow = await startBurrow({ workspace: 'finish' });
  const agent = await burrow.startAgent('finish', { BURROW_AGENT_DRAIN_TIMEOUT: '30' });
  const answer = burrow.send(burrow.appUrl('finish', port));
  const finish = await begun.promise;
  agent.kill('SIGTERM');
  await eventually('the agent drains', async () => agent.log.includes('"drain"'));
  finish();
  assert.equal((await answer).text, 'begun, done');
  assert.equal(await agent.exited, 0);
});
