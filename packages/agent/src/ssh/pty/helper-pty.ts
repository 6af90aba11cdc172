import type { ChildProcess } from 'node:child_process';
import type { Duplex, Readable, Writable } from 'node:stream';
import { readReports, type Reports } from './control-lines.ts';
import { endSession, signalGroup, signalName } from './end-session.ts';
import type { Pty, PtyExit, PtyKind } from './types.ts';

export interface HelperOptions {
  readonly kind: PtyKind;
  /** Started with pipes 0 to 3; 3 is the control socket. */
  readonly helper: ChildProcess;
  readonly signal: AbortSignal;
  readonly resize: (cols: number, rows: number, reports: Reports, control: Duplex) => void;
  /** Sees the helper's report, and what it was told to send last, before the world does. */
  readonly exit?: (exit: PtyExit, lastSignal: NodeJS.Signals | undefined) => PtyExit;
}

const START_TIMEOUT_MS = 10_000;
/** How long the last report of a helper that has ended may take to be read. */
const LAST_LINES_MS = 500;

/** The other end of a pipe may be gone at any time; the exit tells. */
const ignore = (): void => {};

/** A terminal that a helper process makes and copies; resolves when its command runs. */
export function helperPty(options: HelperOptions): Promise<Pty> {
  const { helper, signal } = options;
  const input = helper.stdin as Writable;
  const output = helper.stdout as Readable;
  const control = helper.stdio[3] as Duplex;
  for (const stream of [input, output]) stream.on('error', ignore);

  return new Promise<Pty>((resolve, reject) => {
    let reports: Reports = {};
    let lastSignal: NodeJS.Signals | undefined;
    let started = false;
    let settleExit: (exit: PtyExit) => void = ignore;
    const exited = new Promise<PtyExit>((settle) => (settleExit = settle));
    const finish = (exit: PtyExit): void => settleExit(options.exit?.(exit, lastSignal) ?? exit);

    const hangUp = (): void => {
      control.destroy();
      input.destroy();
      output.destroy();
      if (reports.pid === undefined || reports.exit !== undefined) helper.kill('SIGKILL');
      else void endSession(reports.pid).finally(() => helper.kill('SIGKILL'));
    };
    const fail = (why: string): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', hangUp);
      hangUp();
      reject(new Error(why));
    };
    const timer = setTimeout(
      () => fail(`The helper that makes terminals (${options.kind}) did not start in time.`),
      START_TIMEOUT_MS,
    );
    signal.addEventListener('abort', hangUp, { once: true });

    readReports(control, (all) => {
      reports = all;
      if (all.exit !== undefined) finish(all.exit);
      if (all.pid === undefined || started) return;
      started = true;
      clearTimeout(timer);
      resolve(pty(all.pid));
    });
    helper.on('error', (error) => fail(`The helper could not be started: ${error.message}.`));
    helper.on('exit', (code, ended) => {
      signal.removeEventListener('abort', hangUp);
      if (!started) return fail(`The helper ended before it began (${ended ?? code}).`);
      // The last lines of the control socket may not have been read yet.
      const settle = (): void => finish({ code: null, signal: lastSignal?.slice(3) ?? 'KILL' });
      if (control.destroyed || control.readableEnded) return settle();
      control.once('close', settle);
      // Somebody it left behind may keep the socket open.
      setTimeout(settle, LAST_LINES_MS).unref();
      return undefined;
    });
    if (signal.aborted) hangUp();

    function pty(pid: number): Pty {
      return {
        kind: options.kind,
        pid,
        output,
        input,
        exited,
        resize: (cols, rows) => {
          if (reports.exit === undefined) options.resize(cols, rows, reports, control);
        },
        kill: (name) => {
          const known = signalName(name);
          if (known === undefined || reports.exit !== undefined) return;
          lastSignal = known;
          signalGroup(pid, known);
        },
      };
    }
  });
}
