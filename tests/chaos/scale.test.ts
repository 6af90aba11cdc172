// Many idle agents, and the death of the relay that holds them all. 10,000 in the long form; once plain, once over TLS.
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { test, type TestContext } from 'node:test';
import pg from 'pg';
import { selfSignedCertificate } from '../harness/certificate.ts';
import { startCluster, type Cluster } from '../harness/cluster.ts';
import { eventually } from '../harness/eventually.ts';
import { run } from '../harness/run.ts';
import { startAgentPools } from './support/agent-pools.ts';
import { record } from './support/report.ts';

const LONG = process.env['BURROW_TEST_LONG'] === '1';
const AGENTS = LONG ? 10_000 : 300;
const MAKE_AT_ONCE = 16;
/** Redis, the database and the relay are watched idle for so long. */
const IDLE_MS = LONG ? 30_000 : 5_000;

interface Kind {
  readonly name: string;
  readonly tls: boolean;
  /** CPU of the idle relay, in ms per s. Pings of 10,000 links, encrypted or not. */
  readonly idleMs: number;
  /** All are back on the other relay. Agents, relays and stores share this machine's cores, handshakes included. */
  readonly backWithinMs: number;
}

const KINDS: readonly Kind[] = [
  { name: 'plain', tls: false, idleMs: 50, backWithinMs: 15_000 },
  { name: 'TLS', tls: true, idleMs: 100, backWithinMs: 45_000 },
];

async function makeTokens(cluster: Cluster): Promise<string[]> {
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

/** CPU of a process so far, in ms. Linux counts in hundredths of a second. */
function cpuMs(pid: number): number {
  const fields = fieldsOf(pid);
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

/** Of proc(5)'s `stat`, from the third on. */
function fieldsOf(pid: number | string): string[] {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

function residentKb(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}

/** Of PostgreSQL's server and all its children, those that have ended included. */
function databaseCpuMs(cluster: Cluster): number {
  const { pid } = cluster.storage.postgres.running;
  const children = readdirSync('/proc').filter((name) => {
    try {
      return /^\d+$/.test(name) && Number(fieldsOf(name)[1]) === pid;
    } catch {
      return false;
    }
  });
  const ended = fieldsOf(pid).slice(13, 15);
  return [pid, ...children.map(Number)].reduce(
    (sum, each) => sum + cpuMs(each),
    ended.reduce((sum, ticks) => sum + Number(ticks), 0) * 10,
  );
}

async function commands(cluster: Cluster): Promise<number> {
  const { port, url } = cluster.storage.redis.running;
  const { stdout } = await run('redis-cli', ['-p', String(port), 'info', 'stats'], {
    env: { REDISCLI_AUTH: new URL(url).password },
  });
  return Number(/total_commands_processed:(\d+)/.exec(stdout)?.[1]);
}

async function redisBytes(cluster: Cluster): Promise<number> {
  const { port, url } = cluster.storage.redis.running;
  const { stdout } = await run('redis-cli', ['-p', String(port), 'info', 'memory'], {
    env: { REDISCLI_AUTH: new URL(url).password },
  });
  return Number(/used_memory:(\d+)/.exec(stdout)?.[1]);
}

async function transactions(database: pg.Client): Promise<number> {
  const { rows } = await database.query<{ n: string }>(
    `select xact_commit as n from pg_stat_database where datname = 'burrow'`,
  );
  return Number(rows[0]?.n);
}

async function databaseBytes(database: pg.Client): Promise<number> {
  const { rows } = await database.query<{ n: string }>(`select pg_database_size('burrow') as n`);
  return Number(rows[0]?.n);
}

async function connectTo(t: TestContext, cluster: Cluster): Promise<pg.Client> {
  const database = new pg.Client(cluster.storage.postgres.running.url('postgres'));
  // It ends with its server.
  database.on('error', () => {});
  await database.connect();
  t.after(() => database.end().catch(() => {}));
  return database;
}

for (const { name, tls, idleMs, backWithinMs } of KINDS) {
  test(
    `${AGENTS} idle agents (${name}), and their relay is killed`,
    { timeout: 900_000 },
    async (t) => {
      const folder = mkdtempSync(join(tmpdir(), 'burrow-scale-'));
      t.after(() => rm(folder, { recursive: true, force: true }));
      const certificate = tls ? await selfSignedCertificate(folder, 'relay.test') : undefined;
      const cluster = await startCluster(['one', 'two'], {
        BURROW_RELAY_CLUSTER__REBALANCE_MS: '0',
        BURROW_RELAY_WORKSPACES__MAX_PER_USER: String(AGENTS),
        ...(certificate === undefined
          ? {}
          : {
              BURROW_RELAY_LISTEN__TLS__CERT_FILE: certificate.certFile,
              BURROW_RELAY_LISTEN__TLS__KEY_FILE: certificate.keyFile,
            }),
      });
      t.after(() => cluster[Symbol.asyncDispose]());
      const urlOf = (id: string): string =>
        `${tls ? 'https' : 'http'}://127.0.0.1:${cluster.relay(id).port}`;
      const database = await connectTo(t, cluster);
      const empty = await databaseBytes(database);
      const tokens = await makeTokens(cluster);
      const databaseEach = ((await databaseBytes(database)) - empty) / AGENTS;
      const { pid } = cluster.relay('one');
      const { pid: otherPid } = cluster.relay('two');
      const before = { kb: residentKb(pid), cpu: cpuMs(pid), redis: await redisBytes(cluster) };
      const ca = certificate && readFileSync(certificate.certFile, 'utf8');
      const pools = startAgentPools({ url: urlOf('one'), tokens, ca });
      t.after(() => pools.stop());
      await eventually('all are there', () => pools.links === AGENTS, 300_000);
      const linkedCpu = cpuMs(pid) - before.cpu;
      // The counters of PostgreSQL follow within 10 s.
      await sleep(LONG ? 12_000 : 2_000);
      const each = (residentKb(pid) - before.kb) / AGENTS;
      const redisEach = ((await redisBytes(cluster)) - before.redis) / AGENTS;

      const redis = cluster.storage.redis.running.pid;
      const look = async () => ({
        commands: await commands(cluster),
        transactions: await transactions(database),
        relay: cpuMs(pid),
        redis: cpuMs(redis),
        database: databaseCpuMs(cluster),
      });
      const idle = await look();
      await sleep(IDLE_MS);
      const later = await look();
      const per = (key: keyof typeof idle): number => (later[key] - idle[key]) / (IDLE_MS / 1000);
      /** Of one core. */
      const share = (key: 'relay' | 'redis' | 'database'): string =>
        `${(per(key) / 10).toFixed(1)}% of a core`;
      const asked = `${per('commands').toFixed(0)} commands/s`;
      const kept = `${per('transactions').toFixed(1)} transactions/s`;
      t.diagnostic(
        `idle: ${each.toFixed(1)} KB a link, relay ${share('relay')}, Redis ${asked}, ${share('redis')}, ` +
          `${redisEach.toFixed(0)} bytes an agent; PostgreSQL ${kept}, ${share('database')}, ${databaseEach.toFixed(0)} bytes a workspace; ` +
          `each link took ${(linkedCpu / AGENTS).toFixed(2)} ms of the relay`,
      );
      assert.ok(per('commands') < 1_500, `${per('commands')} commands/s`);
      assert.ok(per('relay') < idleMs, `the idle relay takes ${share('relay')}`);

      await pools.dial(urlOf('two'));
      const since = performance.now();
      const busy = {
        redis: cpuMs(redis),
        other: cpuMs(otherPid),
        database: databaseCpuMs(cluster),
      };
      cluster.kill('one');
      await eventually('the loss is noticed', () => pools.links < AGENTS, 15_000);
      await eventually('all are back', () => pools.links === AGENTS, 120_000);
      const backMs = performance.now() - since;
      const redisBusy = (cpuMs(redis) - busy.redis) / backMs;
      const otherEach = (cpuMs(otherPid) - busy.other) / AGENTS;
      const databaseBusy = (databaseCpuMs(cluster) - busy.database) / backMs;
      t.diagnostic(
        `all back after ${(backMs / 1000).toFixed(1)} s; meanwhile Redis at ${(redisBusy * 100).toFixed(0)}% of a core, ` +
          `PostgreSQL at ${(databaseBusy * 100).toFixed(0)}%, and each link took ${otherEach.toFixed(2)} ms of the relay`,
      );
      const cells = new Map([
        ['memory of the relay', `${each.toFixed(1)} KB a link`],
        ['idle relay', share('relay')],
        ['Redis', `${asked}, ${share('redis')}, ${redisEach.toFixed(0)} bytes an agent`],
        [
          'PostgreSQL',
          `${kept}, ${share('database')}, ${databaseEach.toFixed(0)} bytes a workspace`,
        ],
        ['all back on another relay', `${(backMs / 1000).toFixed(1)} s`],
        [
          'meanwhile',
          `Redis ${(redisBusy * 100).toFixed(0)}%, PostgreSQL ${(databaseBusy * 100).toFixed(0)}% of a core; ${otherEach.toFixed(2)} ms of the relay a link`,
        ],
      ]);
      if (LONG) record(`10,000 links, ${name}`, cells, 'scale');
      assert.ok(backMs < backWithinMs, `${backMs} ms`);
      assert.ok(redisBusy < 0.3, `Redis at ${redisBusy} of a core`);
      const { relays } = await cluster.api('two').cluster();
      assert.equal(relays.find(({ self }) => self)?.stats?.agents, AGENTS);
    },
  );
}
