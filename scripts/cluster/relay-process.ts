import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../lib/project-node.mjs';
import { RELAY_NODE_FLAGS } from '../lib/relay-flags.mjs';
import { commandLine } from '../lib/server-process.ts';
import type { FromRelay, ToRelay } from './messages.ts';

const READY_MS = 120_000;
const ANSWER_MS = 20_000;
/** Between being asked to end, being asked to hurry, and SIGKILL. */
const GRACE_MS = 200;
const STOP_MS = 10_000;

type Answer<K extends FromRelay['kind']> = Extract<FromRelay, { kind: K }>;

export interface RelayProcess {
  readonly id: string;
  readonly pid: number;
  readonly port: number;
  readonly ssh: { readonly host: string; readonly port: number; readonly hostKey: string };
  readonly domain: string;
  readonly ended: Promise<string>;
  ask<K extends ToRelay['kind']>(message: Extract<ToRelay, { kind: K }>): Promise<Answer<K>>;
  /** Idempotent. */
  stop(): Promise<void>;
}

export interface RelayProcessOptions {
  readonly id: string;
  /** Its data folder and its log. */
  readonly folder: string;
  /** `BURROW_RELAY_…`; secrets are named by file. */
  readonly env: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  /** It ran before, and its log goes on. */
  readonly again: boolean;
}

/** Resolves once the relay serves. */
export async function startRelayProcess(options: RelayProcessOptions): Promise<RelayProcess> {
  const { id, folder, signal } = options;
  signal.throwIfAborted();
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const logFile = join(folder, 'relay.log');
  const log = openSync(logFile, options.again ? 'a' : 'w', 0o600);
  const [command, ...args] = commandLine({
    command: process.execPath,
    args: [
      ...RELAY_NODE_FLAGS,
      join(ROOT, 'scripts/cluster/relay-main.ts'),
      // Only for people who look at the list of processes.
      id,
    ],
    user: undefined,
    stopSignal: 'SIGTERM',
  });
  const child = spawn(command!, args, {
    cwd: folder,
    env: { ...process.env, BURROW_RELAY_DATA_DIR: folder, ...options.env },
    stdio: ['ignore', log, log, 'ipc'],
    detached: true,
  });
  closeSync(log);
  let gone = false;
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, by) => resolve(by ?? `code ${code}`));
  }).finally(() => (gone = true));

  const next = <K extends FromRelay['kind']>(kind: K, boundMs: number): Promise<Answer<K>> =>
    new Promise((resolve, reject) => {
      const bound = AbortSignal.any([signal, AbortSignal.timeout(boundMs)]);
      const over = (): void => {
        child.off('message', onMessage);
        bound.removeEventListener('abort', onAbort);
      };
      const fail = (why: string): void => {
        over();
        reject(new Error(`Relay ${id} ${why}\n${lastLines(logFile)}`.trim()));
      };
      const onMessage = (message: FromRelay): void => {
        if (message.kind === 'failed') fail(`failed: ${message.message}`);
        else if (message.kind === kind) {
          over();
          resolve(message as Answer<K>);
        }
      };
      const onAbort = (): void => fail(`did not answer within ${boundMs / 1000} s.`);
      child.on('message', onMessage);
      bound.addEventListener('abort', onAbort);
      void ended.then((how) => fail(`ended (${how}).`));
    });

  let stopping: Promise<void> | undefined;
  async function stop(): Promise<void> {
    if (gone) return;
    child.kill('SIGTERM');
    const hurry = setTimeout(() => child.kill('SIGTERM'), GRACE_MS);
    const late = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
    await ended;
    clearTimeout(hurry);
    clearTimeout(late);
  }

  try {
    const { port, ssh, domain } = await next('ready', READY_MS);
    return {
      id,
      pid: child.pid ?? 0,
      port,
      ssh,
      domain,
      ended,
      ask(message) {
        const answer = next(message.kind, ANSWER_MS);
        child.send(message);
        return answer as never;
      },
      stop: () => (stopping ??= stop()),
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function lastLines(file: string): string {
  return readFileSync(file, 'utf8').trim().split('\n').slice(-10).join('\n');
}
