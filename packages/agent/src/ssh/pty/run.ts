import { spawn } from 'node:child_process';
import type { Readable } from 'node:stream';

const TIMEOUT_MS = 5_000;
const MAX_OUTPUT = 64 * 1024;

/** Runs a short command; its output, or undefined unless it ends well within five seconds. */
export function outputOf(
  file: string,
  args: readonly string[],
  signal: AbortSignal,
  env: NodeJS.ProcessEnv = process.env,
): Promise<string | undefined> {
  return new Promise((resolve) => {
    let output = '';
    const child = spawn(file, args, {
      cwd: '/',
      env,
      stdio: ['ignore', 'pipe', 'ignore'],
      signal,
      timeout: TIMEOUT_MS,
      killSignal: 'SIGKILL',
    });
    // Undefined where no descriptor is to be had: then an error follows.
    const stdout = child.stdout as Readable | undefined;
    stdout?.setEncoding('utf8');
    stdout?.on('data', (data: string) => {
      output += data.slice(0, MAX_OUTPUT - output.length);
    });
    child.on('error', () => resolve(undefined));
    child.on('close', (code) => resolve(code === 0 ? output : undefined));
  });
}

/** Whether a short command ends well. */
export async function runs(
  file: string,
  args: readonly string[],
  signal: AbortSignal,
): Promise<boolean> {
  return (await outputOf(file, args, signal)) !== undefined;
}
