import { spawn } from 'node:child_process';

/** Runs a command with its output shown; resolves to its exit code (1 when ended by a signal). */
export function runProcess(
  command: string,
  args: readonly string[],
  options: { readonly cwd: string; readonly signal: AbortSignal; readonly boundMs: number },
): Promise<number> {
  return new Promise((resolve, reject) => {
    const bound = AbortSignal.any([options.signal, AbortSignal.timeout(options.boundMs)]);
    const child = spawn(command, args, {
      cwd: options.cwd,
      stdio: ['ignore', 'inherit', 'inherit'],
      signal: bound,
      killSignal: 'SIGTERM',
    });
    child.once('error', (error) => {
      if (!bound.aborted) reject(error);
    });
    child.once('exit', (code) => {
      if (bound.aborted && !options.signal.aborted) {
        process.stderr.write(`${command} was ended after ${options.boundMs / 60_000} minutes.\n`);
      }
      resolve(code ?? 1);
    });
  });
}
