import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort, startServerProcess, type ServerProcess } from './server-process.ts';
import { hasCommand, type Need } from './system-packages.ts';

export const REDIS: Need = {
  what: 'Redis',
  debian: 'redis-server',
  present: () => hasCommand('redis-server'),
};

export interface RedisProcess extends ServerProcess {
  readonly port: number;
  /** Holds the password. */
  readonly url: string;
}

export interface RedisOptions {
  readonly folder: string;
  /** Of loopback. Default: a free one. */
  readonly port?: number;
  /** Default: a new one. */
  readonly password?: string;
  readonly signal?: AbortSignal;
}

/** A real Redis of our own on loopback, with a password; it keeps nothing on disk. */
export async function startRedisServer({
  folder,
  port: wanted,
  password = randomBytes(24).toString('base64url'),
  signal,
}: RedisOptions): Promise<RedisProcess> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const port = wanted ?? (await freePort());
  const file = join(folder, 'redis.conf');
  const lines = [
    ...['bind 127.0.0.1', `port ${port}`, `requirepass ${password}`],
    ...['daemonize no', 'save ""', 'appendonly no', `dir "${folder}"`],
  ];
  writeFileSync(file, `${lines.join('\n')}\n`, { mode: 0o600 });
  const server = await startServerProcess({
    name: 'Redis',
    command: 'redis-server',
    args: [file],
    cwd: folder,
    ready: /Ready to accept connections/,
    readyWithinMs: 20_000,
    stopSignal: 'SIGTERM',
    stopWithinMs: 5_000,
    signal,
  });
  return Object.assign(server, { port, url: `redis://:${password}@127.0.0.1:${port}` });
}
