import { randomBytes } from 'node:crypto';
import { request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { Child } from '../lib/child.ts';
import type { Endpoint, Scenario, Stand } from '../scenario.ts';
import { AGENT_BUNDLE, agentEnvironment, endpoint } from '../systems/burrow.ts';
import { startReverseTunnel } from '../systems/ssh.ts';

/** Resolves when a 200 begins to arrive; asks again every few ms until then. */
async function firstByte(to: Endpoint, signal: AbortSignal): Promise<void> {
  for (;;) {
    const status = await new Promise<number>((resolve) => {
      const ask = request(
        {
          port: to.port,
          host: '127.0.0.1',
          path: '/small',
          headers: { ...to.headers },
          agent: false,
        },
        (response) => {
          response.resume();
          resolve(response.statusCode ?? 0);
        },
      );
      ask.on('error', () => resolve(0));
      ask.end();
    });
    if (status === 200) return;
    signal.throwIfAborted();
    await sleep(5);
  }
}

async function burrow(stand: Stand): Promise<number> {
  const relay = await stand.burrow();
  const name = `first-${randomBytes(4).toString('hex')}`;
  const created = await relay.client.workspaces.create({ name, driver: 'external' });
  const start = performance.now();
  const agent = new Child(process.execPath, [AGENT_BUNDLE], {
    ...agentEnvironment(created, relay.port),
  });
  try {
    await firstByte(endpoint(relay, name, stand.workload.httpPort), AbortSignal.timeout(15_000));
    return performance.now() - start;
  } finally {
    await agent.stop();
    await relay.client.workspaces.terminate(name);
  }
}

async function ssh(stand: Stand): Promise<number> {
  const server = await stand.sshServer();
  const start = performance.now();
  await using tunnel = await startReverseTunnel(server, stand.workload, server.port, false);
  await firstByte(tunnel.endpoint('http'), AbortSignal.timeout(15_000));
  return performance.now() - start;
}

/** From the start of the workload's process to the first byte that a user gets through it. */
export const firstByteMs: Scenario = {
  results: { 'first-byte-ms': 'ms' },
  systems: ['burrow', 'ssh-r'],
  run: async (stand, system) => ({
    'first-byte-ms': system === 'burrow' ? await burrow(stand) : await ssh(stand),
  }),
};
