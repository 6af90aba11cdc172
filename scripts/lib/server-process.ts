import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { hasCommand } from './system-packages.ts';

const KEEP_OUTPUT = 8 * 1024;

export interface ServerProcessOptions {
  /** For messages, such as "PostgreSQL". */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Runs as somebody else; needs root. */
  readonly user?: { readonly uid: number; readonly gid: number } | undefined;
  /** What it says, on any of its outputs, once it serves. */
  readonly ready: RegExp;
  readonly readyWithinMs: number;
  /** Asks it to end in an orderly way. */
  readonly stopSignal: NodeJS.Signals;
  readonly stopWithinMs: number;
  readonly signal?: AbortSignal | undefined;
}

export interface ServerProcess {
  readonly pid: number;
  /** Resolves when it has ended, for whatever reason. */
  readonly ended: Promise<void>;
  /** The last of what it said. */
  readonly output: string;
  /** Asks it to end; SIGKILL when it takes too long. Idempotent. */
  stop(): Promise<void>;
  kill(signal: NodeJS.Signals): void;
}

/**
 * Runs a server as a child, until it is ready. On Linux it ends with this
 * process, even when that is killed.
 */
export async function startServerProcess(options: ServerProcessOptions): Promise<ServerProcess> {
  const { name, signal } = options;
  signal?.throwIfAborted();
  const [command, ...args] = commandLine(options);
  const child = spawn(command!, args, {
    env: options.env ?? { PATH: process.env['PATH'], LANG: 'C.UTF-8' },
    stdio: ['ignore', 'pipe', 'pipe'],
    // A process group of its own: a terminal's Ctrl-C is for us, who end things in order.
    detached: true,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  const ready = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<void>();
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(-KEEP_OUTPUT);
      if (options.ready.test(output)) ready.resolve();
    });
  }
  let gone = false;
  const end = (error: Error): void => {
    gone = true;
    ready.reject(error);
    ended.resolve();
  };
  child.once('error', end);
  child.once('close', () => end(new Error(`${name} ended`)));
  const late = setTimeout(() => {
    ready.reject(new Error(`${name} was not ready within ${options.readyWithinMs / 1000} s`));
  }, options.readyWithinMs);
  const onAbort = (): void => ready.reject(signal!.reason as Error);
  signal?.addEventListener('abort', onAbort);

  let stopping: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    if (gone) return;
    child.kill(options.stopSignal);
    const tooLong = setTimeout(() => child.kill('SIGKILL'), options.stopWithinMs);
    await ended.promise;
    clearTimeout(tooLong);
  };
  const server: ServerProcess = {
    pid: child.pid ?? 0,
    ended: ended.promise,
    get output() {
      return output;
    },
    stop: () => (stopping ??= stop()),
    kill: (with_) => void child.kill(with_),
  };
  try {
    await ready.promise;
    return server;
  } catch (error) {
    await server.stop();
    if (signal?.aborted === true) throw error;
    throw new Error(`${(error as Error).message}. It said:\n${output.trim()}`, { cause: error });
  } finally {
    clearTimeout(late);
    signal?.removeEventListener('abort', onAbort);
  }
}

/** setpriv(1) of util-linux: the kernel ends the child when its parent is gone. */
export function commandLine({
  command,
  args,
  user,
  stopSignal,
}: Pick<ServerProcessOptions, 'command' | 'args' | 'user' | 'stopSignal'>): string[] {
  if (!hasCommand('setpriv')) {
    if (user === undefined) return [command, ...args];
    throw new Error('The program setpriv is missing (Debian package util-linux).');
  }
  const as =
    user === undefined
      ? []
      : [`--reuid=${user.uid}`, `--regid=${user.gid}`, '--clear-groups', '--no-new-privs'];
  return ['setpriv', ...as, `--pdeathsig=${stopSignal.slice(3)}`, '--', command, ...args];
}

/** A port of loopback that nobody has at this moment. */
export async function freePort(): Promise<number> {
  const probe = createServer();
  probe.listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  return port;
}
