import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ROOT } from '../../scripts/lib/project-node.mjs';
import type { ClusterReady, Ready } from '../../scripts/start/ready.ts';
import { eventually } from './eventually.ts';

const READY_MS = 120_000;
const STOP_MS = 15_000;

export interface Started<R extends Ready = Ready> extends AsyncDisposable {
  readonly ready: R;
  readonly pid: number;
  readonly dataDir: string;
  /** What it printed so far. */
  readonly output: string;
  /** Ctrl-C; resolves to the exit code once it has ended. Idempotent. */
  stop(): Promise<number | null>;
}

/** Runs what `npm start` runs, and waits until it is ready. */
export function npmStart(
  folder: string,
  args: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Promise<Started> {
  return started<Ready>('start', folder, args, env);
}

/** The same of `npm run cluster`. */
export function npmCluster(
  folder: string,
  args: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Promise<Started<ClusterReady>> {
  return started<ClusterReady>('cluster', folder, args, env);
}

async function started<R extends Ready>(
  command: string,
  folder: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<Started<R>> {
  const readyFile = join(folder, 'ready.json');
  const dataDir = join(folder, 'data');
  // One of an earlier start says nothing of this one.
  await rm(readyFile, { force: true });
  const child = spawn(
    process.execPath,
    [
      join(ROOT, 'scripts/bootstrap.mjs'),
      ...[command, '--data-dir', dataDir, '--ready-file', readyFile],
      ...args,
    ],
    { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  }
  const exited = once(child, 'exit').then(([code]) => code as number | null);
  let stopping: Promise<number | null> | undefined;
  const end = async (): Promise<number | null> => {
    const kill = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
    child.kill('SIGINT');
    const code = await exited;
    clearTimeout(kill);
    return code;
  };
  const stop = (): Promise<number | null> => (stopping ??= end());
  try {
    const ready = await eventually(
      `${command} is ready`,
      async () => {
        if (child.exitCode !== null) return 'ended' as const;
        return JSON.parse(await readFile(readyFile, 'utf8')) as R;
      },
      READY_MS,
    );
    if (ready === 'ended') throw new Error(`${command} ended with code ${child.exitCode}`);
    return {
      ready,
      pid: child.pid ?? 0,
      dataDir,
      get output() {
        return output;
      },
      stop,
      [Symbol.asyncDispose]: async () => void (await stop()),
    };
  } catch (error) {
    await stop();
    throw new Error(`${command} did not become ready. It printed:\n${output}`, { cause: error });
  }
}
