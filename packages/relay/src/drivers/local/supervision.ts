/** What the relay tells a supervisor, as one line of JSON on its standard input. */
export interface SupervisorOrder {
  /** Put into every child's environment, see marked-processes.ts. */
  readonly mark: string;
  /** Between SIGTERM and SIGKILL, in ms. */
  readonly graceMs: number;
  readonly children: readonly ChildOrder[];
}

export interface ChildOrder {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly logFile: string;
  /** Exit codes after which starting again is pointless. */
  readonly finalExitCodes: readonly number[];
}

/** What a supervisor tells the relay, one line of JSON each on its standard output. */
export type SupervisorReport =
  | { readonly event: 'started'; readonly child: string; readonly pid: number }
  | {
      readonly event: 'restarting';
      readonly child: string;
      readonly why: string;
      readonly inMs: number;
    }
  | { readonly event: 'gave-up'; readonly child: string; readonly why: string };

/** Bytes of one child's log file; one older file of the same size is kept beside it. */
export const MAX_LOG_BYTES = 2 * 1024 * 1024;

/** A child that ran for this long has started well: its failures count anew. */
export const STABLE_AFTER_MS = 20_000;
export const FIRST_RESTART_MS = 250;
export const LAST_RESTART_MS = 10_000;
/** Failures in a row, none of them stable, after which a child is given up. */
export const MAX_FAILURES = 8;

/** Delay before the restart that follows the n-th failure in a row (from 1), in ms. */
export function restartDelay(failures: number): number {
  return Math.min(LAST_RESTART_MS, FIRST_RESTART_MS * 2 ** (failures - 1));
}
