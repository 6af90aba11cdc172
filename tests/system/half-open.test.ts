// A peer that is there and answers nothing: noticed within 15 s, and replaced.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { ensureAgentBundle } from '../../scripts/lib/agent-bundle.ts';
import { startAgentProcess } from '../harness/agent-process.ts';
import { startBurrow } from '../harness/burrow.ts';
import { eventually } from '../harness/eventually.ts';

/** The promise with the relay's defaults: 8 s of silence, 5 s to answer, two looks of half a second, and a dial. */
const NOTICED_MS = 15_000;

/** A pass-through whose connections can be frozen: open, and carrying nothing. */
async function freezer(t: TestContext, targetPort: number) {
  const pairs: [Socket, Socket][] = [];
  const server = createServer((near) => {
    const far = connect(targetPort, '127.0.0.1');
    near.pipe(far).pipe(near);
    for (const socket of [near, far]) socket.on('error', () => {});
    near.on('close', () => far.destroy());
    far.on('close', () => near.destroy());
    pairs.push([near, far]);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const [near] of pairs) near.destroy();
    server.close();
  });
  return {
    port: (server.address() as AddressInfo).port,
    get connections() {
      return pairs.length;
    },
    freeze(): void {
      for (const [near, far] of pairs) {
        near.unpipe(far);
        far.unpipe(near);
        near.pause();
        far.pause();
      }
    },
  };
}

async function app(t: TestContext): Promise<number> {
  const server = createHttpServer((_request, response) => response.end('ok'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return (server.address() as AddressInfo).port;
}

test(
  'a relay that stops reading and writing is noticed and dialled again',
  { timeout: 40_000 },
  async (t) => {
    await using burrow = await startBurrow();
    const { environment } = await burrow.createWorkspace('frozen');
    assert.ok(environment);
    const line = await freezer(t, burrow.port);
    const agent = startAgentProcess(await ensureAgentBundle(), {
      ...environment,
      BURROW_RELAY_URL: `http://127.0.0.1:${line.port}`,
    });
    t.after(() => agent.stop());
    await eventually(
      'two links',
      async () => (await burrow.showWorkspace('frozen')).agent?.links === 2,
    );
    const url = burrow.appUrl('frozen', await app(t));
    assert.equal((await burrow.send(url)).text, 'ok');

    line.freeze();
    const start = performance.now();
    const before = line.connections;
    await eventually('the agent dials again', () => line.connections > before, NOTICED_MS);
    await eventually(
      'requests pass again',
      async () => (await burrow.send(url)).text === 'ok',
      NOTICED_MS,
    );
    assert.ok(performance.now() - start < NOTICED_MS, `took ${performance.now() - start} ms`);
    await eventually(
      'the relay has let go of the dead links',
      async () => (await burrow.showWorkspace('frozen')).agent?.links === 2,
    );
  },
);

test(
  'an agent that is stopped is noticed by the relay; when it goes on, so does everything',
  { timeout: 60_000 },
  async (t) => {
    await using burrow = await startBurrow({
      workspace: 'asleep',
      config: { gateway: { agentWaitMs: 100 } },
    });
    const agent = await burrow.startAgent('asleep');
    await eventually(
      'two links',
      async () => (await burrow.showWorkspace('asleep')).agent?.links === 2,
    );
    const url = burrow.appUrl('asleep', await app(t));
    assert.equal((await burrow.send(url)).text, 'ok');

    agent.kill('SIGSTOP');
    t.after(() => agent.kill('SIGCONT'));
    const start = performance.now();
    await eventually(
      'the relay gives the agent up',
      async () => (await burrow.showWorkspace('asleep')).state === 'disconnected',
      NOTICED_MS,
    );
    assert.ok(performance.now() - start < NOTICED_MS);
    const refused = await burrow.send(url);
    assert.equal(refused.status, 503);
    assert.match(refused.text, /agent/i);

    agent.kill('SIGCONT');
    await eventually(
      'the agent is back',
      async () => (await burrow.send(url)).text === 'ok',
      30_000,
    );
  },
);
