import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { ROOT } from '../../scripts/lib/project-node.mjs';

const SCRIPT = join(ROOT, 'scripts/burrow.mjs');

/** A `burrow port-forward --json` that listens. */
export interface Forward extends AsyncDisposable {
  /** Of this machine, in the order of the mappings. */
  readonly ports: readonly number[];
  /** So far. */
  readonly stderr: string;
  readonly exited: Promise<{ readonly code: number | null; readonly signal: string | null }>;
  kill(signal: NodeJS.Signals): void;
}

/** `args`: the workspace, then options with `=` and mappings. Rejects when it ends before it listens. */
export async function startForward(
  env: Readonly<Record<string, string>>,
  args: readonly string[],
): Promise<Forward> {
  const mappings = args.filter((arg) => /^[\d:]+$/.test(arg)).length;
  const child = spawn(process.execPath, [SCRIPT, 'port-forward', '--json', ...args], {
    env: { PATH: process.env['PATH'] ?? '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const exited = once(child, 'close').then(([code, signal]) => ({
    code: code as number | null,
    signal: signal as string | null,
  }));
  const ports: number[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    ports.push((JSON.parse(line) as { localPort: number }).localPort);
    if (ports.length === mappings) break;
  }
  if (ports.length < mappings) {
    await exited;
    throw new Error(`port-forward ended before it listened: ${stderr}`);
  }
  child.stdout.resume();
  return {
    ports,
    get stderr() {
      return stderr;
    },
    exited,
    kill: (signal) => void child.kill(signal),
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM');
      const late = setTimeout(() => child.kill('SIGKILL'), 5_000);
      await exited;
      clearTimeout(late);
    },
  };
}
