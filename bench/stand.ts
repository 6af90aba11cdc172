import { mkdtempSync, rmSync, existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Stand, System, SystemName } from './scenario.ts';
import { startBurrow, startAgent, type Burrow } from './systems/burrow.ts';
import { startCaddy } from './systems/caddy.ts';
import { direct } from './systems/direct.ts';
import { startNginx } from './systems/nginx.ts';
import { startSlowLine } from './systems/slow-line.ts';
import { startReverseTunnel, startSshServer, type SshServer } from './systems/ssh.ts';
import { sshLoad } from './systems/ssh-load.ts';
import { startSshWays, type SshWays } from './systems/ssh-ways.ts';
import { startTwoRelays } from './systems/two-relays.ts';
import { startWorkload } from './systems/workload.ts';

/** Starts a value when first asked for, once. */
function once<T>(start: () => Promise<T>): () => Promise<T> {
  let value: Promise<T> | undefined;
  return () => (value ??= start());
}

export interface RunningStand extends Stand, AsyncDisposable {}

export interface StandOptions {
  /** How long a rate is measured. */
  readonly seconds: number;
  /** Size of the big file of the SSH scenarios; smaller ones also move fewer files and connect less often. */
  readonly sshMegabytes: number;
  readonly wanted: (result: string) => boolean;
}

/** Starts the workload; everything else when a scenario asks for it. */
export async function startStand(options: StandOptions): Promise<RunningStand> {
  const { seconds, sshMegabytes, wanted } = options;
  const stack = new AsyncDisposableStack();
  const memory = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
  const directory = mkdtempSync(join(memory, 'burrow-bench-'));
  stack.defer(() => rmSync(directory, { recursive: true, force: true }));
  const use = async <T extends AsyncDisposable>(starting: Promise<T>): Promise<T> =>
    stack.use(await starting);

  const workload = await use(startWorkload(directory));
  const burrow: () => Promise<Burrow> = once(() => use(startBurrow(directory)));
  const sshServer: () => Promise<SshServer> = once(() => use(startSshServer(directory)));

  const sshWays: () => Promise<SshWays> = once(async () =>
    stack.use(startSshWays(directory, await sshServer(), burrow)),
  );

  const fast: Record<SystemName, () => Promise<System>> = {
    burrow: once(async () => use(startAgent(await burrow(), workload, 'bench'))),
    direct: once(async () => direct(workload)),
    nginx: once(() => use(startNginx(workload, directory))),
    caddy: once(() => use(startCaddy(workload, directory))),
    'ssh-r': once(async () => use(startReverseTunnel(await sshServer(), workload))),
  };
  const slow: Partial<Record<SystemName, () => Promise<System>>> = {
    burrow: once(async () => {
      const relay = await burrow();
      const line = await use(startSlowLine(relay.port));
      return use(startAgent(relay, workload, 'slow', line.port));
    }),
    direct: once(async () => {
      const line = await use(startSlowLine(workload.httpPort));
      return direct({ httpPort: line.port, echoPort: line.port });
    }),
    'ssh-r': once(async () => {
      const server = await sshServer();
      const line = await use(startSlowLine(server.port));
      return use(startReverseTunnel(server, workload, line.port));
    }),
  };

  return {
    directory,
    seconds,
    workload,
    file: workload.file,
    burrow,
    twoRelays: once(() => use(startTwoRelays(directory, workload))),
    sshServer,
    sshWays,
    sshLoad: sshLoad(directory, sshMegabytes),
    wanted,
    system: (name) => fast[name](),
    slowSystem: (name) => {
      const start = slow[name];
      if (start === undefined) throw new Error(`${name} has no place on the slow line`);
      return start();
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}
