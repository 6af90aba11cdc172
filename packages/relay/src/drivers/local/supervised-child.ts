import { spawn, type ChildProcess } from 'node:child_process';
import { BoundedLog } from './bounded-log.ts';
import { MARK_VARIABLE, signalProcess } from './marked-processes.ts';
import {
  MAX_FAILURES,
  MAX_LOG_BYTES,
  restartDelay,
  STABLE_AFTER_MS,
  type ChildOrder,
  type SupervisorReport,
} from './supervision.ts';

/** A process that is started again when it ends, until `stop`. */
export class SupervisedChild {
  readonly #order: ChildOrder;
  readonly #mark: string;
  readonly #report: (message: SupervisorReport) => void;
  readonly #log: BoundedLog;
  #process: ChildProcess | undefined;
  #timer: NodeJS.Timeout | undefined;
  #failures = 0;
  #stopped = false;

  constructor(order: ChildOrder, mark: string, report: (message: SupervisorReport) => void) {
    this.#order = order;
    this.#mark = mark;
    this.#report = report;
    this.#log = new BoundedLog(order.logFile, MAX_LOG_BYTES);
  }

  start(): void {
    if (this.#stopped) return;
    const { name, command, args, env, cwd } = this.#order;
    const began = Date.now();
    // A group of its own, so that one signal reaches all that it started.
    const child = spawn(command, args, {
      cwd,
      env: { ...env, [MARK_VARIABLE]: this.#mark },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    this.#process = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk: Buffer) => this.#log.write(chunk));
    }
    let over = false;
    const ended = (why: string, code: number | null): void => {
      if (over) return;
      over = true;
      // What it left behind in its group must not hold its ports.
      if (child.pid !== undefined) signalProcess(-child.pid, 'SIGKILL');
      if (this.#process === child) this.#process = undefined;
      this.#again(why, code, Date.now() - began);
    };
    child.once('error', (error) => ended(`it could not be started: ${error.message}`, null));
    child.once('exit', (code, signal) => ended(`it ended with ${signal ?? `code ${code}`}`, code));
    if (child.pid !== undefined) this.#report({ event: 'started', child: name, pid: child.pid });
  }

  /** SIGTERM to the group, SIGKILL after `graceMs`; resolves once the process is gone. */
  async stop(graceMs: number): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    const child = this.#process;
    if (child?.pid !== undefined) {
      const group = -child.pid;
      await new Promise<void>((resolve) => {
        const kill = setTimeout(() => signalProcess(group, 'SIGKILL'), graceMs);
        child.once('exit', () => {
          clearTimeout(kill);
          resolve();
        });
        signalProcess(group, 'SIGTERM');
      });
    }
    this.#log.close();
  }

  #again(why: string, code: number | null, ranMs: number): void {
    if (this.#stopped) return;
    const { name, finalExitCodes } = this.#order;
    this.#failures = ranMs >= STABLE_AFTER_MS ? 1 : this.#failures + 1;
    const final = code !== null && finalExitCodes.includes(code);
    if (final || this.#failures >= MAX_FAILURES) {
      this.#report({ event: 'gave-up', child: name, why });
      return;
    }
    const inMs = restartDelay(this.#failures);
    this.#report({ event: 'restarting', child: name, why, inMs });
    this.#timer = setTimeout(() => this.start(), inMs);
  }
}
