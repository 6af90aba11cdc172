import { spawn } from 'node:child_process';
import { withPipes } from '../with-pipes.ts';
import { helperPty } from './helper-pty.ts';
import { PYTHON_PROGRAM } from './python-program.ts';
import { outputOf } from './run.ts';
import { effectiveModes } from './terminal-modes.ts';
import type { Pty, PtyOptions, Rung } from './types.ts';

/** A Python that has what the program needs, and a system that has terminals. */
const PROBE = `
import fcntl, json, os, select, signal, struct, sys, termios
os.set_blocking(0, True)
os.openpty()
print(sys.executable or '')
`;

const FLAGS = ['-I', '-S', '-c'] as const;

/** The second rung: a small program run by the Python of the workload. */
export async function findPython(signal: AbortSignal): Promise<Rung | string> {
  for (const file of ['python3', 'python', '/usr/bin/python3', '/usr/libexec/platform-python']) {
    const output = await outputOf(file, [...FLAGS, PROBE], signal);
    if (output === undefined) continue;
    // Itself, and not a script that looks for it each time.
    const python = output.trim() || file;
    return { kind: 'python', start: (options) => start(python, options) };
  }
  return 'no Python 3 that can open a terminal';
}

function start(python: string, options: PtyOptions): Promise<Pty> {
  const { command, modes, signal } = options;
  const spawned = spawn(python, [...FLAGS, PYTHON_PROGRAM], {
    cwd: '/',
    env: { PATH: process.env['PATH'] },
    stdio: ['pipe', 'pipe', 'ignore', 'pipe'],
    // Not ended by a Ctrl-C meant for the agent.
    detached: true,
  });
  const helper = withPipes(spawned, python);
  const started = helperPty({
    kind: 'python',
    helper,
    signal,
    resize: (cols, rows, _, control) => control.writable && control.write(`size ${cols} ${rows}\n`),
  });
  const order = {
    file: command.file,
    argv: [command.argv0 ?? command.file, ...command.args],
    env: { ...options.env, TERM: options.term },
    cwd: options.cwd,
    cols: options.cols,
    rows: options.rows,
    modes: effectiveModes(modes),
  };
  // Not in its arguments: everybody in the workload can read those.
  const control = helper.stdio[3] as NodeJS.WritableStream;
  control.write(`${JSON.stringify(order)}\n`);
  return started;
}
