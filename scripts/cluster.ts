import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { HELP, parseClusterArguments, type ClusterArguments } from './cluster/arguments.ts';
import { Front } from './cluster/front.ts';
import { Kept } from './cluster/kept.ts';
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

  let published: (() => Promise<void>) | undefined;
  const changed = (): void => {
    void published?.().catch((error: Error) => tell(error.message));
  };
  const storage = await during('Starting PostgreSQL and Redis', () =>
    startStorage({ folder: args.dataDir, signal, onEnded: tell, onStarted: changed }),
  );
  running.push({ what: 'PostgreSQL and Redis', stop: () => storage.stop() });
  const relays = await during(`Starting ${args.relays} relays`, () =>
    startRelays(args, front, storage.env, changed),
  );
  await front.check();

  const first = relays[0]!.running;
  const { token } = await first.ask({ kind: 'first-user', tokenName: TOKEN_NAME });
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
  const { url } = await first.ask({ kind: 'sign-in-url', workspace: workspace?.name });
  const ready = (): ClusterReady => ({
    url,
    api: `${new URL(url).origin}/api/v1`,
    token,
    domain: first.domain,
    workspace: workspace === null ? null : { name: workspace.name, url: workspace.url },
    ssh: { ...first.ssh, host: new URL(url).hostname, port: front.sshPort },
    relays: relays.map(({ running: { id, pid, port, ssh } }) => ({
      id,
      url: `http://127.0.0.1:${port}`,
      pid,
      ssh: { ...ssh, host: '127.0.0.1' },
    })),
    redis: { port: storage.redis.running.port, pid: storage.redis.running.pid },
    postgres: { port: storage.postgres.running.port, pid: storage.postgres.running.pid },
  });
  const { readyFile } = args;
  if (readyFile !== undefined) {
    // Again whenever something was started again: its process has another id.
    published = () => writeReadyFile(readyFile, ready());
    await published();
  }
  const colours = process.stdout.isTTY && (process.env['NO_COLOR'] ?? '') === '';
  process.stdout.write(`${readyBlock(ready(), colours)}\n`);
}

async function startRelays(
  args: ClusterArguments,
  front: Front,
  storage: Readonly<Record<string, string>>,
  changed: () => void,
): Promise<Kept<RelayProcess>[]> {
  const publicUrl = `http://${process.env['BURROW_RELAY_DOMAIN'] ?? 'localhost'}:${front.port}`;
  const common = {
    BURROW_RELAY_PUBLIC_URL: publicUrl,
    // Agents on this machine need no name to be resolved.
    BURROW_RELAY_AGENT_URL: `http://127.0.0.1:${front.port}`,
    ...(FRONT_ADDRESS === undefined
      ? {}
      : {
          BURROW_RELAY_LISTEN__PROXY_PROTOCOL: 'true',
          BURROW_RELAY_LISTEN__TRUSTED_PROXIES: FRONT_ADDRESS,
        }),
    ...storage,
  };
  const one = async (number: number): Promise<Kept<RelayProcess>> => {
    const id = `relay-${number}`;
    /** Any at first; the same when it starts again. */
    let ports = { web: 0, ssh: 0 };
    let pid = 0;
    const kept = await Kept.start({
      start: () =>
        startRelayProcess({
          id,
          folder: join(args.dataDir, 'relays', id),
          env: {
            ...common,
            BURROW_RELAY_CLUSTER__RELAY_ID: id,
            BURROW_RELAY_LISTEN__PORT: String(ports.web),
            BURROW_RELAY_SSH__PORT: String(ports.ssh),
          },
          signal: stopping.signal,
          again: pid !== 0,
        }),
      onStarted(relay) {
        ports = { web: relay.port, ssh: relay.ssh.port };
        if (pid !== 0) tell(`${id} runs again (process ${relay.pid}).`);
        pid = relay.pid;
        front.add({ id, port: ports.web, sshPort: ports.ssh });
        changed();
      },
      onEnded(how, delayMs) {
        front.remove(id);
        tell(`${id} (process ${pid}) ended: ${how}. It is started again in ${delayMs / 1000} s.`);
      },
      signal: stopping.signal,
    });
    running.push({ what: id, stop: () => kept.stop() });
    return kept;
  };
  const numbers = Array.from({ length: args.relays }, (_, index) => index + 1);
  const results = await Promise.allSettled(numbers.map(one));
  const failed = results.find((result) => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  return results.map((result) => (result as PromiseFulfilledResult<Kept<RelayProcess>>).value);
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
