import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import type { Readable, Writable } from 'node:stream';
import { nameTerminal } from './name-terminal.ts';
import { endSession, signalGroup, signalName } from './pty/end-session.ts';
import { startPty } from './pty/ladder.ts';
import type { PtyCommand, PtyModes } from './pty/types.ts';
import { withPipes } from './with-pipes.ts';

export interface Terminal {
  readonly term: string;
  readonly cols: number;
  readonly rows: number;
  readonly modes: PtyModes;
}

/** A command under way, with a terminal or with pipes. */
export interface Running {
  readonly stdin: Writable;
  readonly stdout: Readable;
  /** Undefined: it has a terminal, which has one output. */
  readonly stderr: Readable | undefined;
  /** Settles when the command has ended; output may still follow. Never rejects. */
  readonly exited: Promise<{ readonly code: number | null; readonly signal: string | null }>;
  resize(cols: number, rows: number): void;
  signal(name: string): void;
  /** Hangs up on all that is left of it, unless it ended by itself. Idempotent. */
  end(): void;
}

export interface RunOptions {
  readonly command: PtyCommand;
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly terminal: Terminal | undefined;
  /** A sentence for the person, before the command says anything. */
  readonly tell: (sentence: string) => void;
}

export async function runCommand(options: RunOptions): Promise<Running> {
  const { terminal } = options;
  if (terminal !== undefined) {
    const hangUp = new AbortController();
    const pty = await startPty({
      ...options,
      ...terminal,
      command: nameTerminal(options.command),
      signal: hangUp.signal,
    });
    if (!('unavailable' in pty)) {
      return {
        stdin: pty.input,
        stdout: pty.output,
        stderr: undefined,
        exited: pty.exited,
        resize: (cols, rows) => pty.resize(cols, rows),
        signal: (name) => pty.kill(name),
        end: () => hangUp.abort(),
      };
    }
    options.tell(`${pty.unavailable} This session goes on without one.`);
  }
  return runWithPipes(options);
}

/** In a session of its own, so that all of it can be reached, and Ctrl-C of the agent's own terminal is not for it. */
function runWithPipes({ command, env, cwd }: RunOptions): Running {
  const started = spawn(command.file, command.args, {
    cwd,
    env: { ...env },
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
    ...(command.argv0 === undefined ? {} : { argv0: command.argv0 }),
  });
  const child = withPipes(started, command.file);
  let ended = false;
  // The command and all that held its output: what it left behind on purpose (`server >log &`) stays, as under sshd.
  child.once('close', () => (ended = true));
  return {
    stdin: child.stdin,
    stdout: child.stdout,
    stderr: child.stderr,
    exited: new Promise((resolve) => {
      child.on('error', (error: NodeJS.ErrnoException) => {
        child.stderr.push(`burrow-agent: cannot start ${command.file}: ${error.message}\n`);
        child.stderr.push(null);
        child.stdout.push(null);
        // As shells say it: not found, or not to be executed.
        resolve({ code: error.code === 'ENOENT' ? 127 : 126, signal: null });
      });
      child.on('exit', (code, signal) => resolve({ code, signal: signal?.slice(3) ?? null }));
    }),
    resize() {},
    signal(name) {
      const known = signalName(name);
      if (known !== undefined && child.pid !== undefined) signalGroup(child.pid, known);
    },
    end() {
      if (ended) return;
      ended = true;
      if (child.pid !== undefined) void endSession(child.pid);
    },
  };
}

/** The number of a signal, for an exit code of 128 and more. */
export function signalNumber(name: string): number {
  return constants.signals[`SIG${name}` as NodeJS.Signals] ?? 0;
}
