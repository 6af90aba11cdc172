// A relay stands still for 10 s, as a machine does that is moved or starved, under every kind of traffic. The agent has
// links to two relays, the command line dials through a balancer: what goes over the silent ways finds the others.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'node:test';
import { startCluster, type Cluster } from '../harness/cluster.ts';
import { eventually } from '../harness/eventually.ts';
import { PACE_MS, startApp } from './support/app.ts';
import { record } from './support/report.ts';
import type { Outcome } from './support/streams.ts';
import { prepareTraffic } from './support/traffic.ts';

const STILL_MS = 10_000;
const STREAM_MS = 14_000;
/** 2 to 3 s until the silence counts, a dial, and a busy machine. Without moving it is the whole standstill. */
const STALLED_AT_MOST_MS = 7_000;

async function agentIsLinkedTo(cluster: Cluster, ids: readonly string[]): Promise<void> {
  await eventually(`the agent is linked to ${ids.join(' and ')}`, async () => {
    const { relays } = await cluster.api('edge').cluster();
    return ids.every((id) => relays.some((each) => each.id === id && each.stats?.agents === 1));
  });
}

test(
  'a relay stands still for 10 s: what goes through it moves around it',
  { timeout: 180_000 },
  async (t) => {
    const cluster = await startCluster(['home', 'other', 'edge'], {
      BURROW_RELAY_DRAIN__GRACE_MS: '2000',
    });
    t.after(() => cluster[Symbol.asyncDispose]());
    const app = await startApp();
    t.after(() => app[Symbol.asyncDispose]());
    const homes = ['home', 'other'];
    const line = await cluster.balancer(homes);
    await cluster.agent('demo', line);
    await agentIsLinkedTo(cluster, homes);
    const traffic = await prepareTraffic(cluster, app, 'demo');
    const streams = traffic.start('edge', line.port, STREAM_MS / PACE_MS);
    await Promise.all(streams.map(({ begun }) => begun));
    await sleep(500);
    const worst = new Map<string, Outcome>();
    cluster.kill('home', 'SIGSTOP');
    await sleep(STILL_MS);
    cluster.kill('home', 'SIGCONT');
    for (const { kind, outcome } of streams) worst.set(kind, await outcome);
    const stalls = [...worst].map(([kind, { stallMs }]) => `${kind} ${stallMs} ms`);
    t.diagnostic(`stalled ${stalls.join(', ')}`);
    record('one of the agent’s two relays stands still for 10 s', worst);
    for (const [kind, { whole, units, said, stallMs }] of worst) {
      assert.ok(whole, `${kind} ended after ${units}: ${said}`);
      assert.ok(stallMs < STALLED_AT_MOST_MS, `${kind} stalled ${stallMs} ms`);
    }
  },
);
