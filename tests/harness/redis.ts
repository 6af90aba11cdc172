import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from './eventually.ts';
import { run } from './run.ts';

/** A real redis-server on a free port of 127.0.0.1. */
export interface RedisServer extends AsyncDisposable {
  readonly port: number;
  /** `redis://127.0.0.1:port` */
  readonly url: string;
  readonly folder: string;
  readonly pid: number;
  readonly log: string;
  /** One command through redis-cli; its raw answer. */
  cli(...args: string[]): Promise<string>;
  /** Calls of each command since the start: `hset` → 3. */
  calls(): Promise<Map<string, number>>;
  /** Ends without a word; `start` begins it again on the same port, empty. */
  kill(): Promise<void>;
  start(): Promise<void>;
  /** SIGSTOP: connections stay, answers do not come. */
  pause(): void;
  resume(): void;
}

export interface RedisServerOptions {
  /** Lines of redis.conf, after the defaults. `%FOLDER%` stands for the server's own folder. */
  readonly config?: readonly string[];
  readonly sentinel?: boolean;
  /** What redis-cli needs beside the port. */
  readonly cliArgs?: readonly string[];
  readonly port?: number;
}

export async function startRedis(options: RedisServerOptions = {}): Promise<RedisServer> {
  const folder = mkdtempSync(join(tmpdir(), 'burrow-redis-'));
  const port = options.port ?? (await freePort());
  const file = join(folder, 'redis.conf');
  const lines = [
    'bind 127.0.0.1',
    `port ${port}`,
    `dir ${folder}`,
    'daemonize no',
    ...(options.sentinel === true ? [] : ['save ""', 'appendonly no']),
    ...(options.config ?? []).map((line) =>
      line.replaceAll('%FOLDER%', folder).replaceAll('%PORT%', String(port)),
    ),
    '',
  ];
  writeFileSync(file, lines.join('\n'));
  let child: ChildProcess | undefined;
  let log = '';

  const cli = async (...args: string[]): Promise<string> => {
    const ran = await run('redis-cli', [
      ...['-h', '127.0.0.1', '-p', String(port), '--no-auth-warning'],
      ...(options.cliArgs ?? []).map((arg) =>
        arg.replaceAll('%FOLDER%', folder).replaceAll('%PORT%', String(port)),
      ),
      ...args,
    ]);
    if (ran.code !== 0) throw new Error(`redis-cli failed: ${ran.stdout}${ran.stderr}`);
    return ran.stdout.trim();
  };
  const start = async (): Promise<void> => {
    // The shell ends its server when the tests' process is gone, even when that was killed.
    const mode = options.sentinel === true ? '--sentinel' : '';
    const script = `redis-server "$0" ${mode} & cat >/dev/null; kill -9 $!; wait $!`;
    const shell = spawn('sh', ['-c', script, file], { stdio: ['pipe', 'pipe', 'pipe'] });
    child = shell;
    for (const stream of [shell.stdout, shell.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => (log = (log + text).slice(-20_000)));
    }
    await eventually('redis-server answers', async () => {
      if (child !== shell || shell.exitCode !== null)
        throw new Error(`redis-server ended:\n${log}`);
      return await accepts(port);
    });
  };
  const serverPid = (): number => {
    const shell = child?.pid ?? 0;
    const children = readFileSync(`/proc/${shell}/task/${shell}/children`, 'utf8')
      .trim()
      .split(' ');
    const pid = children
      .map(Number)
      .find((one) => readFileSync(`/proc/${one}/comm`, 'utf8').startsWith('redis'));
    if (pid === undefined) throw new Error('redis-server is not running');
    return pid;
  };
  const kill = async (): Promise<void> => {
    const shell = child;
    if (shell === undefined) return;
    child = undefined;
    const gone = once(shell, 'exit');
    shell.stdin?.end();
    await gone;
  };
  try {
    await start();
  } catch (error) {
    await kill();
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    folder,
    get pid() {
      return serverPid();
    },
    get log() {
      return log;
    },
    cli,
    async calls() {
      const text = await cli('INFO', 'commandstats');
      const found = new Map<string, number>();
      for (const [, name, calls] of text.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm)) {
        found.set(name ?? '', Number(calls));
      }
      return found;
    },
    kill,
    start,
    pause: () => process.kill(serverPid(), 'SIGSTOP'),
    resume() {
      if (child !== undefined) process.kill(serverPid(), 'SIGCONT');
    },
    async [Symbol.asyncDispose]() {
      await kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Three nodes, no replicas, all slots covered. `url` is that of the first. */
export async function startRedisCluster(): Promise<
  AsyncDisposable & { readonly url: string; readonly nodes: readonly RedisServer[] }
> {
  await using stack = new AsyncDisposableStack();
  const nodes: RedisServer[] = [];
  for (let at = 0; at < 3; at++) {
    const port = await freePort();
    const bus = await freePort();
    const node = await startRedis({
      port,
      config: ['cluster-enabled yes', `cluster-port ${bus}`, 'cluster-node-timeout 2000'],
    });
    stack.use(node);
    nodes.push(node);
  }
  const addresses = nodes.map(({ port }) => `127.0.0.1:${port}`);
  await nodes[0]?.cli('--cluster', 'create', ...addresses, '--cluster-yes');
  for (const node of nodes) {
    await eventually('the cluster is whole', async () =>
      (await node.cli('CLUSTER', 'INFO')).includes('cluster_state:ok'),
    );
  }
  const kept = stack.move();
  return {
    url: nodes[0]?.url ?? '',
    nodes,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** A primary, a replica and three sentinels that agree on failing over within about 2 s. */
export async function startRedisSentinel(name = 'mymaster'): Promise<
  AsyncDisposable & {
    /** `host:port` each. */
    readonly sentinels: readonly string[];
    readonly servers: readonly RedisServer[];
    primary(): Promise<number>;
  }
> {
  await using stack = new AsyncDisposableStack();
  const first = await startRedis();
  stack.use(first);
  const second = await startRedis({ config: [`replicaof 127.0.0.1 ${first.port}`] });
  stack.use(second);
  const sentinels: RedisServer[] = [];
  for (let at = 0; at < 3; at++) {
    const sentinel = await startRedis({
      sentinel: true,
      config: [
        `sentinel monitor ${name} 127.0.0.1 ${first.port} 2`,
        `sentinel down-after-milliseconds ${name} 500`,
        `sentinel failover-timeout ${name} 3000`,
      ],
    });
    stack.use(sentinel);
    sentinels.push(sentinel);
  }
  for (const sentinel of sentinels) {
    await eventually('the sentinels know each other', async () => {
      const text = await sentinel.cli('SENTINEL', 'MASTER', name);
      return /num-slaves\s+1\b/.test(text) && /num-other-sentinels\s+2\b/.test(text);
    });
  }
  const kept = stack.move();
  return {
    sentinels: sentinels.map(({ port }) => `127.0.0.1:${port}`),
    servers: [first, second],
    async primary() {
      const text = await sentinels[0]?.cli('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', name);
      return Number(text?.split('\n')[1]);
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const done = (answer: boolean) => (): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', done(true));
    socket.once('error', done(false));
  });
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
