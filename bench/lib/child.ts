import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** A process of the benchmark: stopped at the latest when the benchmark ends. */
export class Child {
  readonly #process: ChildProcess;
  readonly #name: string;
  #said = '';

  constructor(
    command: string,
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ) {
    this.#name = command.split('/').at(-1) ?? command;
    this.#process = spawn(command, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    });
    running.add(this.#process);
    this.#process.once('exit', () => running.delete(this.#process));
    // Writing to a process that has just ended is not a fault of ours.
    this.#process.stdin?.on('error', () => {});
    this.#process.on('error', (error) => (this.#said += error.message));
    const keep = (bytes: Buffer) => (this.#said = (this.#said + bytes.toString()).slice(-4096));
    this.#process.stdout?.on('data', keep);
    this.#process.stderr?.on('data', keep);
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /** The last 4 KiB of what it printed. */
  get said(): string {
    return this.#said;
  }

  /** Waits until `ready()` holds; throws with the process's own words when it dies or the time is over. */
  async until(ready: () => boolean | Promise<boolean>, withinMs = 15_000): Promise<void> {
    const deadline = performance.now() + withinMs;
    while (!(await ready())) {
      if (this.#process.exitCode !== null || performance.now() > deadline)
        throw new Error(`${this.#name} did not get ready:\n${this.#said}`);
      await sleep(5);
    }
  }

  /** To its standard input. */
  write(text: string): void {
    this.#process.stdin?.write(text);
  }

  listening(port: number): Promise<void> {
    return this.until(() => accepts(port));
  }

  /** Ends it: SIGTERM, and SIGKILL when that was not enough. */
  async stop(withinMs = 3_000): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null || this.pid === 0)
      return;
    const exited = once(this.#process, 'exit');
    this.#process.kill('SIGTERM');
    const force = setTimeout(() => this.#process.kill('SIGKILL'), withinMs);
    await exited;
    clearTimeout(force);
  }
}

export function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => (socket.destroy(), resolve(true)));
    socket.once('error', () => resolve(false));
  });
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** A file that it reads as its standard input. */
  readonly input?: string;
  /** Its standard output goes to /dev/null. */
  readonly discard?: boolean;
  readonly signal?: AbortSignal;
}

/** Runs a command to its end; throws with its words unless it exits with 0. */
export async function run(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const input = options.input === undefined ? undefined : openSync(options.input, 'r');
  const child = spawn(command, args, {
    stdio: [input ?? 'ignore', options.discard === true ? 'ignore' : 'pipe', 'pipe'],
    env: { ...process.env, ...options.env },
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
  if (input !== undefined) closeSync(input);
  running.add(child);
  let out = '';
  let err = '';
  child.stdout?.on('data', (bytes: Buffer) => (out += bytes.toString()));
  child.stderr?.on('data', (bytes: Buffer) => (err += bytes.toString()));
  try {
    const [code] = (await once(child, 'close')) as [number | null];
    if (code !== 0) throw new Error(`${command} failed (${code}): ${err}${out}`);
  } finally {
    running.delete(child);
  }
  return out;
}
