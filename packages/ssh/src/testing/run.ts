import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';

export interface RunOptions {
  /** Given on standard input, which then ends. */
  readonly input?: string | Uint8Array;
  /** Beside the environment of the tests. */
  readonly env?: Readonly<Record<string, string>>;
  readonly onChild?: (child: ChildProcess) => void;
}

export interface Ran {
  /** Null: ended by a signal. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** What takes longer hangs. */
const WITHIN_MS = 30_000;

/** Runs a program to its end, out of reach of the developer's own SSH agent. */
export async function run(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Ran> {
  const child = spawn(program, args, {
    stdio: 'pipe',
    env: { ...process.env, SSH_AUTH_SOCK: '', ...options.env },
  });
  options.onChild?.(child);
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
  // A program that ends without reading all of it.
  child.stdin.on('error', () => {});
  child.stdin.end(options.input ?? '');
  const late = setTimeout(() => child.kill('SIGKILL'), WITHIN_MS);
  try {
    const [code] = (await once(child, 'close')) as [number | null];
    return {
      code,
      stdout: Buffer.concat(stdout).toString(),
      stderr: Buffer.concat(stderr).toString(),
    };
  } finally {
    clearTimeout(late);
  }
}
