import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ROOT } from '../../scripts/lib/project-node.mjs';
import type { Ready } from '../../scripts/start/ready.ts';
import { eventually } from './eventually.ts';

const READY_MS = 120_000;
const STOP_MS = 15_000;

export interface Started extends AsyncDisposable {
  readonly ready: Ready;
  readonly pid: number;
  readonly dataDir: string;
  /** What it printed so far. */
  readonly output: string;
  /** Ctrl-C; resolves to the exit code once it has ended. Idempotent. */
  stop(): Promise<number | null>;
}

/** Runs what `npm start` runs, and waits until it is ready. */
export async function npmStart(
  folder: string,
  args: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Promise<Started> {
  const readyFile = join(folder, 'ready.json');
  const dataDir = join(folder, 'data');
  const child = spawn(
    process.execPath,
    [
      join(ROOT, 'scripts/bootstrap.mjs'),
      ...['start', '--data-dir', dataDir, '--ready-file', readyFile],
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
      'npm start is ready',
      async () => {
        if (child.exitCode !== null) return 'ended' as const;
        return JSON.parse(await readFile(readyFile, 'utf8')) as Ready;
      },
      READY_MS,
    );
    if (ready === 'ended') throw new Error(`npm start ended with code ${child.exitCode}`);
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
    throw new Error(`npm start did not become ready. It printed:\n${output}`, { cause: error });
  }
}
