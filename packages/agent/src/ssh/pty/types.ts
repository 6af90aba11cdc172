import type { Readable, Writable } from 'node:stream';

/** How a PTY is made; the ladder tries them in this order. */
export const PTY_KINDS = ['node-pty', 'python', 'script'] as const;
export type PtyKind = (typeof PTY_KINDS)[number];

export interface PtyCommand {
  readonly file: string;
  readonly args: readonly string[];
  /**
   * What the command sees as its own name; `-bash` makes a login shell. Where
   * it cannot be set, a name that begins with `-` becomes the argument `-l`.
   */
  readonly argv0?: string | undefined;
}

/** As in the client's pty-req (RFC 4254, section 8): `{ECHO: 1, VINTR: 3}`. */
export type PtyModes = Readonly<Record<string, number | undefined>>;

export interface PtyOptions {
  readonly command: PtyCommand;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** A folder; `/` takes its place when it cannot be entered. */
  readonly cwd: string;
  /** The value of TERM. */
  readonly term: string;
  /** Characters, 0..65535; 0 means unknown. */
  readonly cols: number;
  readonly rows: number;
  readonly modes: PtyModes;
  /** When it aborts, the terminal hangs up: nothing of the session stays, as described at `endSession`. */
  readonly signal: AbortSignal;
}

export interface Pty {
  /** Leads the session and its process group. */
  readonly pid: number;
  /** What the terminal shows. Ends when all of it was read. It holds the program back while nobody reads. */
  readonly output: Readable;
  /** What the user types. Its end does not hang up. */
  readonly input: Writable;
  resize(cols: number, rows: number): void;
  /** Sends a signal (`TERM` or `SIGTERM`) to the process group of the command. */
  kill(signal: string): void;
  /** The end of the command; `signal` without `SIG`. Output may still follow. Never rejects. */
  readonly exited: Promise<PtyExit>;
  readonly kind: PtyKind;
}

export interface PtyExit {
  readonly code: number | null;
  readonly signal: string | null;
}

/** One sentence for the user's terminal. */
export interface PtyUnavailable {
  readonly unavailable: string;
}

/** One way to make terminals, found to work here. */
export interface Rung {
  readonly kind: PtyKind;
  /** Throws when it does not work after all. */
  start(options: PtyOptions): Promise<Pty>;
}

/** Finds out whether a rung works here; a string says why not. */
export type FindRung = (signal: AbortSignal) => Promise<Rung | string>;
