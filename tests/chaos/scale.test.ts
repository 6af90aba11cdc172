// Many idle agents, and the death of the relay that holds them all. 10,000 in the long form.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { test, type TestContext } from 'node:test';
import { startCluster, type Cluster } from '../harness/cluster.ts';
import { eventually } from '../harness/eventually.ts';
import { run } from '../harness/run.ts';

const LONG = process.env['BURROW_TEST_LONG'] === '1';
const AGENTS = LONG ? 10_000 : 300;
const PROCESSES = 2;
const MAKE_AT_ONCE = 16;
/** Redis and the relay are watched idle for so long. */
const IDLE_MS = LONG ? 30_000 : 5_000;
const BACK_WITHIN_MS = 15_000;

async function tokens(cluster: Cluster): Promise<string[]> {
  const made: string[] = [];
  let next = 0;
  const api = cluster.api('two');
  await Promise.all(
    Array.from({ length: MAKE_AT_ONCE }, async () => {
      while (next < AGENTS) {
        const { environment } = await api.workspaces.create({
          name: `idle-${next++}`,
          driver: 'external',
        });
        made.push(environment?.BURROW_AGENT_TOKEN ?? '');
      }
    }),
  );
  return made;
}

/** Agents in processes of their own; how many links they hold now. */
function hold(t: TestContext, url: string, all: readonly string[]): () => number {
  const counts = Array.from({ length: PROCESSES }, (_, index) => {
    const child = spawn(
      process.execPath,
      [
        '--disable-warning=ExperimentalWarning',
        join(import.meta.dirname, 'support/agent-pools-process.ts'),
      ],
      { stdio: ['pipe', 'pipe', 'inherit'] },
    );
    t.after(() => child.kill('SIGKILL'));
    let links = 0;
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      links = Number(/links (\d+)\n$/.exec(text)?.[1] ?? links);
    });
    const mine = all.filter((_token, i) => i % PROCESSES === index);
    child.stdin.write(`${JSON.stringify({ url, tokens: mine })}\n`);
    return () => links;
  });
  return () => counts.reduce((sum, count) => sum + count(), 0);
}

/** CPU of a process so far, in ms. Linux counts in hundredths of a second. */
function cpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

function residentKb(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}

async function commands(cluster: Cluster): Promise<number> {
  const { port, url } = cluster.storage.redis.running;
  const { stdout } = await run('redis-cli', ['-p', String(port), 'info', 'stats'], {
    env: { REDISCLI_AUTH: new URL(url).password },
  });
  return Number(/total_commands_processed:(\d+)/.exec(stdout)?.[1]);
}

test(`${AGENTS} idle agents, and their relay is killed`, { timeout: 900_000 }, async (t) => {
  const cluster = await startCluster(['one', 'two'], {
    BURROW_RELAY_CLUSTER__REBALANCE_MS: '0',
    BURROW_RELAY_WORKSPACES__MAX_PER_USER: String(AGENTS),
  });
  t.after(() => cluster[Symbol.asyncDispose]());
  const line = await cluster.line(cluster.relay('one'));
  const all = await tokens(cluster);
  const { pid } = cluster.relay('one');
  const before = residentKb(pid);
  const links = hold(t, `http://127.0.0.1:${line.port}`, all);
  await eventually('all are there', () => links() === AGENTS, 300_000);
  await sleep(2_000);
  const each = (residentKb(pid) - before) / AGENTS;

  const redis = cluster.storage.redis.running.pid;
  const [asked, relayCpu, redisCpu] = [await commands(cluster), cpuMs(pid), cpuMs(redis)];
  await sleep(IDLE_MS);
  const perSecond = ((await commands(cluster)) - asked) / (IDLE_MS / 1000);
  const relayShare = (cpuMs(pid) - relayCpu) / IDLE_MS;
  const redisShare = (cpuMs(redis) - redisCpu) / IDLE_MS;
  t.diagnostic(
    `idle: ${each.toFixed(1)} KB a link, relay ${(relayShare * 100).toFixed(1)}% of a core, ` +
      `Redis ${perSecond.toFixed(0)} commands/s and ${(redisShare * 100).toFixed(1)}% of a core`,
  );
  assert.ok(perSecond < 1_500, `${perSecond} commands/s`);

  line.to = cluster.relay('two');
  const since = performance.now();
  const redisBefore = cpuMs(redis);
  cluster.kill('one');
  await eventually('the loss is noticed', () => links() < AGENTS, BACK_WITHIN_MS);
  await eventually('all are back', () => links() === AGENTS, 120_000);
  const backMs = performance.now() - since;
  const redisBusy = (cpuMs(redis) - redisBefore) / backMs;
  t.diagnostic(
    `all back after ${(backMs / 1000).toFixed(1)} s; meanwhile Redis at ${(redisBusy * 100).toFixed(0)}% of a core`,
  );
  assert.ok(backMs < BACK_WITHIN_MS, `${backMs} ms`);
  assert.ok(redisBusy < 0.3, `Redis at ${redisBusy} of a core`);
  const { relays } = await cluster.api('two').cluster();
  assert.equal(relays.find(({ self }) => self)?.stats?.agents, AGENTS);
});
