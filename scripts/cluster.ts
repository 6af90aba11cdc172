import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { HELP, parseClusterArguments, type ClusterArguments } from './cluster/arguments.ts';
import { Front } from './cluster/front.ts';
import { startRelayProcess, type RelayProcess } from './cluster/relay-process.ts';
import { startStorage } from './cluster/storage.ts';
import { startClusterWorkspace } from './cluster/workspace.ts';
import { explainStart } from './lib/explain-start.ts';
import { freePortOr } from './lib/free-port-or.ts';
import { POSTGRES } from './lib/postgres-server.ts';
import { step } from './lib/progress.mjs';
import { REDIS } from './lib/redis-server.ts';
import { onStopSignal } from './lib/stop-signals.ts';
import { ensureSystemPackages } from './lib/system-packages.ts';
import { readyBlock, writeReadyFile, type ClusterReady } from './start/ready.ts';

const DEFAULT_SSH_PORT = 2222;
const TOKEN_NAME = 'npm run cluster';
/** Linux has all of 127.0.0.0/8 on loopback: so relays can tell the front from others who dial them. */
const FRONT_ADDRESS = process.platform === 'linux' ? '127.0.0.2' : undefined;

const stopping = new AbortController();
/** What runs, the latest last. */
const running: { readonly what: string; stop(): Promise<void> }[] = [];

async function start(args: ClusterArguments): Promise<void> {
  const { signal } = stopping;
  // Of an earlier start: whoever waits for it waits for this one.
  if (args.readyFile !== undefined) await rm(args.readyFile, { force: true });
  await ensureSystemPackages([POSTGRES, REDIS], signal);
  const front = new Front({
    port: args.port,
    sshPort: args.sshPort ?? (await freePortOr(DEFAULT_SSH_PORT)),
    sourceAddress: FRONT_ADDRESS,
  });
  await front.start();
  running.push({ what: 'the front', stop: async () => front.stop() });

  const storage = await during('Starting PostgreSQL and Redis', () =>
    startStorage(args.dataDir, signal),
  );
  running.push({ what: 'PostgreSQL and Redis', stop: () => storage.stop() });
  for (const [name, { ended }] of Object.entries({
    PostgreSQL: storage.postgres,
    Redis: storage.redis,
  })) {
    void ended.then(() => tell(`${name} ended. Press Ctrl-C, and start again.`));
  }

  const relays = await during(`Starting ${args.relays} relays`, () =>
    startRelays(args, front, storage.env),
  );
  await front.check();

  const { token } = await relays[0]!.ask({ kind: 'first-user', tokenName: TOKEN_NAME });
  const workspace =
    args.workspace === undefined
      ? null
      : await startClusterWorkspace({
          name: args.workspace,
          dataDir: args.dataDir,
          port: front.port,
          token,
          signal,
        });
  if (workspace !== null) {
    running.push({ what: 'the workspace', stop: () => workspace.stop() });
  }
  const { url } = await relays[0]!.ask({ kind: 'sign-in-url', workspace: workspace?.name });
  const ready: ClusterReady = {
    url,
    api: `${new URL(url).origin}/api/v1`,
    token,
    domain: relays[0]!.domain,
    workspace: workspace === null ? null : { name: workspace.name, url: workspace.url },
    ssh: { ...relays[0]!.ssh, host: new URL(url).hostname, port: front.sshPort },
    relays: relays.map(({ id, pid, port, ssh }) => ({
      id,
      url: `http://127.0.0.1:${port}`,
      pid,
      ssh: { ...ssh, host: '127.0.0.1' },
    })),
    redis: { port: storage.redis.port, pid: storage.redis.pid },
    postgres: { port: storage.postgres.port, pid: storage.postgres.pid },
  };
  if (args.readyFile !== undefined) await writeReadyFile(args.readyFile, ready);
  const colours = process.stdout.isTTY && (process.env['NO_COLOR'] ?? '') === '';
  process.stdout.write(`${readyBlock(ready, colours)}\n`);
}

async function startRelays(
  args: ClusterArguments,
  front: Front,
  storage: Readonly<Record<string, string>>,
): Promise<RelayProcess[]> {
  const publicUrl = `http://${process.env['BURROW_RELAY_DOMAIN'] ?? 'localhost'}:${front.port}`;
  const one = async (number: number): Promise<RelayProcess> => {
    const id = `relay-${number}`;
    const relay = await startRelayProcess({
      id,
      folder: join(args.dataDir, 'relays', id),
      env: {
        BURROW_RELAY_PUBLIC_URL: publicUrl,
        // Agents on this machine need no name to be resolved.
        BURROW_RELAY_AGENT_URL: `http://127.0.0.1:${front.port}`,
        BURROW_RELAY_CLUSTER__RELAY_ID: id,
        BURROW_RELAY_LISTEN__PORT: '0',
        BURROW_RELAY_SSH__PORT: '0',
        ...(FRONT_ADDRESS === undefined
          ? {}
          : {
              BURROW_RELAY_LISTEN__PROXY_PROTOCOL: 'true',
              BURROW_RELAY_LISTEN__TRUSTED_PROXIES: FRONT_ADDRESS,
            }),
        ...storage,
      },
      signal: stopping.signal,
    });
    running.push({ what: id, stop: () => relay.stop() });
    front.add({ id, port: relay.port, sshPort: relay.ssh.port });
    void relay.ended.then((how) => {
      front.remove(id);
      tell(`${id} (process ${relay.pid}) ended: ${how}.`);
    });
    return relay;
  };
  const numbers = Array.from({ length: args.relays }, (_, index) => index + 1);
  const results = await Promise.allSettled(numbers.map(one));
  const failed = results.find((result) => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  return results.map((result) => (result as PromiseFulfilledResult<RelayProcess>).value);
}

async function during<T>(label: string, task: () => Promise<T>): Promise<T> {
  const progress = step(label);
  try {
    const result = await task();
    progress.done();
    return result;
  } catch (error) {
    if (stopping.signal.aborted) progress.clear();
    else progress.fail();
    throw error;
  }
}

/** What nobody asked for; silent once everything is to end. */
function tell(what: string): void {
  if (stopped === undefined) process.stderr.write(`  ${what}\n`);
}

let stopped: Promise<void> | undefined;
function stop(exitCode: number): Promise<void> {
  return (stopped ??= (async () => {
    // What came last goes first; relays together, since each waits for its connections.
    const relays = running.filter(({ what }) => what.startsWith('relay-'));
    const others = running.filter((each) => !relays.includes(each)).reverse();
    const storage = others.find(({ what }) => what.startsWith('PostgreSQL'));
    for (const each of others) if (each !== storage) await each.stop();
    await Promise.all(relays.map((each) => each.stop()));
    await storage?.stop();
    if (stopping.signal.aborted) process.stderr.write('Stopped.\n');
    process.exit(exitCode);
  })());
}

let args: ClusterArguments | undefined;
try {
  args = parseClusterArguments(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n\n${HELP}`);
  process.exit(2);
}
if (args === undefined) {
  process.stdout.write(HELP);
  process.exit(0);
}
let starting: Promise<void> | undefined;
onStopSignal(() => {
  stopping.abort();
  // What is just being started ends by the signal first, so that nothing is missed.
  void (starting ?? Promise.resolve()).catch(() => {}).then(() => stop(0));
});
try {
  starting = start(args);
  await starting;
} catch (error) {
  if (!stopping.signal.aborted) {
    process.stderr.write(
      `The cluster could not start. ${explainStart(error, args.port, 'npm run cluster')}\n`,
    );
    await stop(1);
  }
  await stopped;
}
