// One relay command, several processes on one port, each a member of the cluster.
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { listeningSockets, socketInodes } from '../../../scripts/lib/listening-sockets.ts';
import type { PostgresServer } from '../../../scripts/lib/postgres-server.ts';
import { ROOT } from '../../../scripts/lib/project-node.mjs';
import { freePort } from '../../../scripts/lib/server-process.ts';
import { eventually } from '../../harness/eventually.ts';
import { postgresForTests } from '../../harness/postgres.ts';
import { startRedis, type RedisServer } from '../../harness/redis.ts';
import { send } from '../../harness/send.ts';

let folder: string;
let postgres: PostgresServer;
let redis: RedisServer;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'burrow-processes-'));
  [postgres, redis] = await Promise.all([postgresForTests(), startRedis()]);
});
after(async () => {
  await postgres[Symbol.asyncDispose]();
  await redis[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

interface Running extends AsyncDisposable {
  readonly child: ChildProcess;
  readonly output: string;
  readonly exited: Promise<number | null>;
  children(): number[];
}

function relay(env: Readonly<Record<string, string>>): Running {
  const child = spawn(process.execPath, [join(ROOT, 'scripts/burrow.mjs'), 'relay'], {
    env: {
      PATH: process.env['PATH'],
      BURROW_RELAY_DATA_DIR: join(folder, 'data'),
      BURROW_RELAY_SSH__ENABLED: 'false',
      BURROW_RELAY_DRAIN__GRACE_MS: '1000',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  }
  const exited = once(child, 'close').then(([code]) => code as number | null);
  return {
    child,
    exited,
    get output() {
      return output;
    },
    children() {
      const list = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8');
      return list.trim().split(' ').filter(Boolean).map(Number);
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM');
      child.kill('SIGTERM');
      // A third one does not wait for anything.
      const late = setTimeout(() => child.kill('SIGTERM'), 20_000);
      await exited;
      clearTimeout(late);
    },
  };
}

const alive = (pid: number): boolean => {
  try {
    // One that ended but was not waited for counts as gone.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
};

function listeners(pids: readonly number[], port: number): number[] {
  const inodes = new Set(
    listeningSockets()
      .filter((socket) => socket.port === port)
      .map((socket) => socket.inode),
  );
  return pids.filter((pid) => [...socketInodes(pid)].some((inode) => inodes.has(inode)));
}

const severalOn = (port: number): Record<string, string> => ({
  BURROW_RELAY_PROCESSES: '3',
  BURROW_RELAY_LISTEN__PORT: String(port),
  BURROW_RELAY_DATABASE__URL: postgres.url('postgres'),
  BURROW_RELAY_CLUSTER__REDIS_URL: redis.url,
  BURROW_RELAY_CLUSTER__SECRET: 'a secret of thirty-two bytes, or more',
  BURROW_RELAY_CLUSTER__RELAY_ID: 'many',
});

test('three serve one port; one that dies comes again; they end together', async () => {
  const port = await freePort();
  await using running = relay(severalOn(port));
  const serving = (): number[] => listeners(running.children(), port);
  try {
    await eventually('three listen', () => serving().length === 3, 30_000);
  } catch (error) {
    throw new Error(running.output, { cause: error });
  }
  const first = serving();
  const ask = async (): Promise<number> => (await send(`http://127.0.0.1:${port}/readyz`)).status;
  await eventually('ready', async () => (await ask()) === 200);
  for (let times = 0; times < 30; times += 1) assert.equal(await ask(), 200);

  process.kill(first[0]!, 'SIGKILL');
  const again = (): boolean => {
    const now = serving();
    return now.length === 3 && !now.includes(first[0]!);
  };
  await eventually('three again', again, 30_000);
  assert.match(running.output, /a relay process ended/);
  const last = serving();
  running.child.kill('SIGTERM');
  assert.equal(await running.exited, 0);
  for (const pid of last) assert.ok(!alive(pid));
});

test('when the first process is killed, the others end as well', async () => {
  const port = await freePort();
  await using running = relay(severalOn(port));
  await eventually('three listen', () => listeners(running.children(), port).length === 3, 30_000);
  const pids = running.children();
  running.child.kill('SIGKILL');
  await eventually('all have ended', () => !pids.some(alive), 15_000);
});

test('what cannot be is told at once, with exit code 2', async () => {
  await using running = relay({ BURROW_RELAY_PROCESSES: '2', BURROW_RELAY_LISTEN__PORT: '0' });
  assert.equal(await running.exited, 2);
  assert.match(running.output, /more than one process needs cluster\.redisUrl/);
});

test('a process that cannot start ends all, and says why', async () => {
  const port = await freePort();
  await using running = relay({
    ...severalOn(port),
    BURROW_RELAY_DATABASE__URL: postgres.url('nowhere'),
  });
  assert.equal(await running.exited, 2);
  assert.match(running.output, /database "nowhere" does not exist/);
});
