import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const STOP_MS = 5_000;
/** Where agents keep their SSH host key: not in the home of whoever runs the tests. */
const STATE = join(tmpdir(), 'burrow-test-state');

/** The built agent in a process of its own, as a user runs it. */
export interface AgentProcess extends AsyncDisposable {
  readonly pid: number;
  /** Its log so far: one JSON object per line. */
  readonly log: string;
  /** Resolves to the exit code (null: ended by a signal). */
  readonly exited: Promise<number | null>;
  kill(signal: NodeJS.Signals): void;
  /** SIGTERM, then SIGKILL after 5 s. Idempotent. */
  stop(): Promise<void>;
}

export function startAgentProcess(
  bundle: string,
  env: Readonly<Record<string, string>>,
  node = process.execPath,
): AgentProcess {
  const child = spawn(node, [bundle], {
    // Nothing of the test's own environment but what programs need to run.
    env: { PATH: process.env['PATH'] ?? '', XDG_STATE_HOME: STATE, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let log = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (log += text));
  }
  const exited = once(child, 'exit').then(([code]) => code as number | null);
  const stop = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const kill = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
    child.kill('SIGTERM');
    await exited;
    clearTimeout(kill);
  };
  return {
    pid: child.pid ?? 0,
    get log() {
      return log;
    },
    exited,
    kill: (signal) => void child.kill(signal),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}
