import { spawn, type ChildProcess } from 'node:child_process';
import { PROCESS_NUMBER } from './per-process.ts';

export interface RunProcessesOptions {
  readonly count: number;
  readonly command: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly log: {
    info(fields: object, message: string): void;
    error(fields: object, message: string): void;
  };
  /** Between the end of a process and its next start, ms; doubles up to 30 s while they do not last. */
  readonly restartMs?: number;
}

const RESTART_MS = 1_000;
const MAX_RESTART_MS = 30_000;
/** One that served for so long starts again without delay added, ms. */
const LASTED_MS = 60_000;

/** What a child says once it serves. */
export const SERVING = 'serving';

/**
 * Runs so many processes of the relay until a signal: each one that ends by
 * itself is started again, unless it never served. SIGTERM and SIGINT are passed on, each time: the
 * first drains, the second hurries, the third kills. Resolves with the exit code.
 */
export async function runProcesses(options: RunProcessesOptions): Promise<number> {
  const { count, log } = options;
  const children = new Map<number, ChildProcess>();
  const waiting = new Set<() => void>();
  let signals = 0;
  let code = 0;

  const onSignal = (): void => {
    signals += 1;
    for (const wake of waiting) wake();
    for (const child of children.values()) child.kill(signals > 2 ? 'SIGKILL' : 'SIGTERM');
  };

  /** One life of one process. */
  async function live(number: number): Promise<{ served: boolean; how: string; code: number }> {
    const child = spawn(options.command, [...options.args], {
      env: { ...options.env, [PROCESS_NUMBER]: String(number) },
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      // A terminal's Ctrl-C is for this process, which passes it on.
      detached: true,
    });
    children.set(number, child);
    let served = false;
    child.on('message', (message) => {
      if (message === SERVING) served = true;
    });
    const result = await new Promise<{ how: string; code: number }>((resolve) => {
      child.once('error', (error) => resolve({ how: error.message, code: 1 }));
      child.once('exit', (status, signal) =>
        resolve({ how: signal ?? `code ${status}`, code: status ?? 1 }),
      );
    });
    children.delete(number);
    return { served, ...result };
  }

  async function keep(number: number): Promise<void> {
    let everServed = false;
    let delay = options.restartMs ?? RESTART_MS;
    while (signals === 0) {
      const began = performance.now();
      const life = await live(number);
      everServed ||= life.served;
      if (signals > 0) {
        code ||= life.code;
        return;
      }
      if (!everServed) {
        // It said why. The others would fail as well, or be fewer than was asked for.
        code ||= life.code || 1;
        onSignal();
        return;
      }
      const lasted = performance.now() - began;
      delay = lasted > LASTED_MS ? (options.restartMs ?? RESTART_MS) : delay;
      log.error({ process: number, how: life.how, restartInMs: delay }, 'a relay process ended');
      await pause(delay);
      delay = Math.min(2 * delay, MAX_RESTART_MS);
    }
  }

  function pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        waiting.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, ms);
      waiting.add(wake);
    });
  }

  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  try {
    log.info({ processes: count }, 'starting relay processes');
    await Promise.all(Array.from({ length: count }, (_, index) => keep(index + 1)));
  } finally {
    process.removeListener('SIGTERM', onSignal);
    process.removeListener('SIGINT', onSignal);
  }
  return code;
}
