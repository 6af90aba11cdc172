// While every kind of traffic runs through an edge relay, what it stands on fails in turn.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'node:test';
import { startCluster, type Cluster, type SteeredLine } from '../harness/cluster.ts';
import { eventually } from '../harness/eventually.ts';
import { run } from '../harness/run.ts';
import { PACE_MS, startApp } from './support/app.ts';
import { record } from './support/report.ts';
import { prepareTraffic } from './support/traffic.ts';

const LONG = process.env['BURROW_TEST_LONG'] === '1';
/** Between one fault and the next. */
const REST_MS = 1_500;

interface Here {
  readonly cluster: Cluster;
  readonly agentLine: SteeredLine;
}

type Fault = (here: Here) => Promise<void>;

const FAULTS: Readonly<Record<string, Fault>> = {
  'the agent’s connections are reset': async ({ agentLine }) => {
    agentLine.cut();
    await sleep(300);
    agentLine.mend();
  },
  'Redis is emptied': async ({ cluster }) => {
    const { port, url } = cluster.storage.redis.running;
    const flushed = await run('redis-cli', ['-p', String(port), 'flushall'], {
      env: { REDISCLI_AUTH: new URL(url).password },
    });
    assert.equal(flushed.stdout.trim(), 'OK');
  },
  // Both are started again as soon as they end.
  'Redis is killed': async ({ cluster }) => cluster.storage.redis.running.kill('SIGKILL'),
  'PostgreSQL is restarted': async ({ cluster }) => cluster.storage.postgres.running.kill('SIGINT'),
  'the home relay is killed': async ({ cluster, agentLine }) => {
    agentLine.to = cluster.relay('other');
    cluster.kill('home');
    await cluster.start('home');
  },
  'the home relay is drained': async ({ cluster, agentLine }) => {
    agentLine.to = cluster.relay('home');
    cluster.kill('other', 'SIGTERM');
    await cluster.relay('other').ended;
    await cluster.start('other');
  },
  ...(LONG
    ? {
        'the home relay stands still for 10 s': async ({ cluster }: Here) => {
          cluster.kill('home', 'SIGSTOP');
          await sleep(10_000);
          cluster.kill('home', 'SIGCONT');
        },
        'the agent’s connections are half-open': async ({ agentLine }: Here) => {
          agentLine.stall();
          await sleep(20_000);
          agentLine.flow();
        },
      }
    : {}),
};

test(
  'everything goes on, byte for byte, whatever fails behind it',
  { timeout: 600_000 },
  async (t) => {
    const cluster = await startCluster(['home', 'other', 'edge'], {
      BURROW_RELAY_DRAIN__GRACE_MS: '2000',
    });
    t.after(() => cluster[Symbol.asyncDispose]());
    const app = await startApp();
    t.after(() => app[Symbol.asyncDispose]());
    const agentLine = await cluster.line(cluster.relay('home'));
    const cliLine = await cluster.line(cluster.relay('edge'));
    await cluster.agent('demo', agentLine);
    const traffic = await prepareTraffic(cluster, app, 'demo');
    for (const [what, fault] of Object.entries(FAULTS)) {
      const seconds = LONG && /stands still|half-open/.test(what) ? 30 : 4;
      const streams = traffic.start('edge', cliLine.port, (seconds * 1000) / PACE_MS);
      await Promise.all(streams.map(({ begun }) => begun));
      await sleep(500);
      await fault({ cluster, agentLine });
      const outcomes = new Map<string, Awaited<(typeof streams)[number]['outcome']>>();
      for (const { kind, outcome } of streams) outcomes.set(kind, await outcome);
      const stalls = [...outcomes].map(([kind, { stallMs }]) => `${kind} ${stallMs} ms`);
      t.diagnostic(`${what}: stalled ${stalls.join(', ')}`);
      record(what, outcomes);
      for (const [kind, { whole, units, said }] of outcomes) {
        assert.ok(whole, `${what}: ${kind} ended after ${units}: ${said}`);
      }
      await eventually('the cluster is whole again', async () => {
        const { relays } = await cluster.api('edge').cluster();
        return relays.length >= 3;
      });
      await sleep(REST_MS);
    }
  },
);
