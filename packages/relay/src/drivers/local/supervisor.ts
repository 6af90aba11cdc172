import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { endMarked } from './marked-processes.ts';
import type { SupervisorOrder, SupervisorReport } from './supervision.ts';

const MAIN = fileURLToPath(new URL('./supervisor-main.ts', import.meta.url));

export interface Supervisor {
  readonly pid: number;
  /** Resolves when all has ended. Idempotent. */
  stop(): Promise<void>;
}

export interface SupervisorOptions {
  readonly order: SupervisorOrder;
  readonly onReport: (report: SupervisorReport) => void;
  /** The supervisor itself ended without being asked. */
  readonly onLost: () => void;
  /** For the supervisor alone; holds nothing secret. */
  readonly env: Readonly<Record<string, string>>;
}

/** Starts a supervisor process and gives it its order. */
export function startSupervisor(options: SupervisorOptions): Promise<Supervisor> {
  const { order, onReport, onLost, env } = options;
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', MAIN], {
    env,
    // stdin is the lifeline: when this process ends, it closes, and all ends.
    stdio: ['pipe', 'pipe', 'ignore'],
    detached: true,
  });
  let stopping: Promise<void> | undefined;
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  // It may end while it is being written to; `onLost` tells that.
  child.stdin.on('error', () => undefined);

  const stop = async (): Promise<void> => {
    child.stdin.end();
    // Its own bound is order.graceMs and a bit; this is for one that hangs.
    const kill = setTimeout(() => child.kill('SIGKILL'), order.graceMs + 3_000);
    await gone;
    clearTimeout(kill);
    await endMarked(order.mark, 0);
  };

  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('spawn', () => {
      createInterface({ input: child.stdout }).on('line', (line) => {
        onReport(JSON.parse(line) as SupervisorReport);
      });
      child.once('exit', () => {
        if (stopping === undefined) onLost();
      });
      child.stdin.write(`${JSON.stringify(order)}\n`);
      resolve({ pid: child.pid ?? 0, stop: () => (stopping ??= stop()) });
    });
  });
}
