import { existsSync } from 'node:fs';
import { Readable } from 'node:stream';
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { exitBySignal } from './control-lines.ts';
import { endSession, signalGroup, signalName } from './end-session.ts';
import { nodePtyPlaces } from './find-node-pty.ts';
import { cleanEnv, withoutArgv0 } from './login-name.ts';
import { terminalInput } from './node-pty-input.ts';
import { sttyCommand } from './terminal-modes.ts';
import type { Pty, PtyExit, PtyOptions, Rung } from './types.ts';

/** What we use of node-pty 0.10 … 1.2; `_socket` is its stream over `fd`. */
export interface NodePtyTerminal {
  readonly pid: number;
  readonly fd?: number;
  readonly _socket?: { readonly destroyed?: boolean };
  onData(listen: (data: Buffer | string) => void): unknown;
  onExit(listen: (exit: { exitCode: number; signal?: number }) => void): unknown;
  write(data: Buffer | string): void;
  pause(): void;
  resume(): void;
  resize(cols: number, rows: number): void;
  kill(signal?: string): void;
}

interface NodePty {
  spawn(file: string, args: readonly string[], options: object): NodePtyTerminal;
}

/** Run in a process of its own: a module for another system may end the process that loads it. */
const PROBE = `
const terminal = require(process.argv[1]).spawn('/bin/sh', ['-c', 'exit 7'], { encoding: null, env: {}, cwd: '/' });
terminal.onData(() => {});
terminal.onExit(({ exitCode }) => process.exit(exitCode === 7 ? 0 : 1));
`;
const PROBE_TIMEOUT_MS = 5_000;
/** node-pty discards what was not read 200 ms after the end, so that one must know of it sooner. */
const WATCH_MS = 40;
/** The kernel holds at most 64 KiB after the end of a command; more comes from what it left behind. */
const MAX_AFTER_END = 1024 * 1024;
const OUTPUT_BUFFER = 64 * 1024;

/** The first rung: a `node-pty` that lies beside the agent, or in VS Code's server. */
export async function findNodePty(
  signal: AbortSignal,
  places: AsyncIterable<string> | Iterable<string> = nodePtyPlaces(),
): Promise<Rung | string> {
  const require = createRequire(import.meta.url);
  for await (const place of places) {
    if (signal.aborted) break;
    if (!(await works(place, signal))) continue;
    try {
      const module = require(place) as NodePty;
      return { kind: 'node-pty', start: async (options) => start(module, options) };
    } catch {
      // It worked in another process only: the next one may do.
    }
  }
  return 'no node-pty that can be loaded';
}

function works(place: string, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, ['-e', PROBE, place], {
      cwd: '/',
      env: { PATH: process.env['PATH'] },
      stdio: 'ignore',
      signal,
      timeout: PROBE_TIMEOUT_MS,
      killSignal: 'SIGKILL',
    });
    child.on('error', () => resolve(false));
    child.on('exit', (code) => resolve(code === 0));
  });
}

function start(module: NodePty, options: PtyOptions): Pty {
  const { file, args } = withModes(options);
  const terminal = module.spawn(file, args, {
    name: options.term,
    cols: options.cols,
    rows: options.rows,
    cwd: options.cwd,
    env: cleanEnv(options.env, options.term),
    encoding: null,
  });
  const { pid } = terminal;
  let ended = false;
  const input = terminalInput(terminal);

  let watch: NodeJS.Timeout | undefined;
  const resume = (): void => {
    clearInterval(watch);
    watch = undefined;
    terminal.resume();
  };
  const output = new Readable({ highWaterMark: OUTPUT_BUFFER, read: resume });
  output.on('error', () => {});
  let over = false;
  let afterEnd = 0;
  terminal.onData((data) => {
    if (over || output.destroyed) return;
    const bytes = typeof data === 'string' ? Buffer.from(data) : data;
    if (watch === undefined && alive(pid)) {
      if (output.push(bytes)) return;
      terminal.pause();
      watch = setInterval(() => alive(pid) || resume(), WATCH_MS);
    } else if ((afterEnd += bytes.length) <= MAX_AFTER_END) {
      output.push(bytes);
    }
  });

  const hangUp = (): void => {
    over = true;
    output.destroy();
    input.destroy();
    resume();
    if (!ended) void endSession(pid);
  };
  const exited = new Promise<PtyExit>((resolve) => {
    terminal.onExit(({ exitCode, signal }) => {
      ended = true;
      clearInterval(watch);
      options.signal.removeEventListener('abort', hangUp);
      input.destroy();
      if (!output.destroyed) output.push(null);
      resolve(
        signal === undefined || signal === 0
          ? { code: exitCode, signal: null }
          : exitBySignal(signal),
      );
    });
  });
  options.signal.addEventListener('abort', hangUp, { once: true });
  if (options.signal.aborted) hangUp();

  return {
    kind: 'node-pty',
    pid,
    output,
    input,
    exited,
    resize: (cols, rows) => {
      if (ended) return;
      try {
        terminal.resize(cols, rows);
      } catch {
        // The terminal closed this very moment.
      }
    },
    kill: (name) => {
      const known = signalName(name);
      if (known !== undefined && !ended) signalGroup(pid, known);
    },
  };
}

/** Whether a process runs, or has ended unnoticed: node-pty takes note at once. */
function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** node-pty sets no modes, not even what erasing UTF-8 needs: `stty` does, before the command starts. */
function withModes(options: PtyOptions): { file: string; args: readonly string[] } {
  const { file, args } = withoutArgv0(options.command);
  if (!existsSync('/bin/sh')) return { file, args };
  const inside = `${sttyCommand(options.modes)}; exec "$0" "$@"`;
  return { file: '/bin/sh', args: ['-c', inside, file, ...args] };
}
