import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chownSync,
  existsSync,
  globSync,
  mkdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { freePort, startServerProcess, type ServerProcess } from './server-process.ts';
import { hasCommand, type Need } from './system-packages.ts';

export interface PostgresServerOptions {
  /** Its cluster is made in there when there is none; as root, user `postgres` must be able to enter it. */
  readonly folder: string;
  /** Of loopback. Default: a free one. */
  readonly port?: number;
  /** False: for tests; what a power cut loses does not matter. */
  readonly durable: boolean;
  /** Settings of postgresql.conf, beside or instead of ours. */
  readonly settings?: Readonly<Record<string, string | number>>;
  readonly signal?: AbortSignal;
}

export interface PostgresServer extends AsyncDisposable {
  /** Of the superuser, to the database that is named. Holds the password. */
  url(database: string): string;
  readonly port: number;
  readonly pid: number;
  readonly ended: Promise<void>;
  start(): Promise<void>;
  /** Ends all sessions and itself. Idempotent. */
  stop(): Promise<void>;
  /** As `kill -9`, SIGSTOP, SIGCONT. */
  kill(signal: NodeJS.Signals): void;
}

const READY_MS = 60_000;
const STOP_MS = 15_000;

/** Where Debian and PostgreSQL's own packages put the server; the newest one. */
function binaries(): string | undefined {
  const versions = globSync('/usr/lib/postgresql/*/bin').sort(
    (a, b) => Number(b.split('/')[4]) - Number(a.split('/')[4]),
  );
  return versions.find((folder) => existsSync(join(folder, 'initdb')));
}

export const POSTGRES: Need = {
  what: 'PostgreSQL’s server',
  debian: 'postgresql',
  present: () => binaries() !== undefined || hasCommand('initdb'),
};

/** PostgreSQL refuses to run as root: its package brings a user. */
export function postgresUser(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const line = /^postgres:[^:]*:(\d+):(\d+):/m.exec(readFileSync('/etc/passwd', 'utf8'));
  if (line === null) throw new Error('There is no user "postgres" on this machine.');
  return { uid: Number(line[1]), gid: Number(line[2]) };
}

/** A real PostgreSQL of our own on loopback, with a password. */
export async function startPostgres(options: PostgresServerOptions): Promise<PostgresServer> {
  const bin = binaries();
  const program = (name: string): string => (bin === undefined ? name : join(bin, name));
  const user = postgresUser();
  const data = join(options.folder, 'data');
  const passwordFile = join(options.folder, 'password');
  mkdirSync(options.folder, { recursive: true, mode: 0o700 });
  if (user) chownSync(options.folder, user.uid, user.gid);
  if (!existsSync(join(data, 'PG_VERSION'))) {
    rmSync(data, { recursive: true, force: true });
    writeFileSync(passwordFile, randomBytes(24).toString('base64url'), { mode: 0o600 });
    if (user) chownSync(passwordFile, user.uid, user.gid);
    const made = spawnSync(
      program('initdb'),
      [
        ...['-D', data, '-U', 'postgres', '--pwfile', passwordFile],
        ...['--auth=scram-sha-256', '--encoding=UTF8', '--locale=C.UTF-8'],
        ...(options.durable ? [] : ['--no-sync']),
      ],
      {
        env: { PATH: process.env['PATH'], LANG: 'C.UTF-8' },
        cwd: '/',
        encoding: 'utf8',
        ...user,
      },
    );
    if (made.status !== 0) {
      rmSync(data, { recursive: true, force: true });
      throw new Error(`PostgreSQL's data could not be made:\n${made.stderr || made.stdout}`);
    }
  }
  const password = readFileSync(passwordFile, 'utf8');
  const port = options.port ?? (await freePort());
  let server: ServerProcess | undefined;
  const settings = {
    listen_addresses: '127.0.0.1',
    port,
    unix_socket_directories: '',
    max_connections: 200,
    shared_buffers: '32MB',
    ...(options.durable ? {} : { fsync: 'off', full_page_writes: 'off', autovacuum: 'off' }),
    ...options.settings,
  };
  const start = async (): Promise<void> => {
    await server?.stop();
    server = await startServerProcess({
      name: 'PostgreSQL',
      command: program('postgres'),
      args: [
        '-D',
        data,
        ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
      ],
      cwd: '/',
      user,
      ready: /database system is ready to accept connections/,
      readyWithinMs: READY_MS,
      // "Fast shutdown": sessions are ended, nothing is lost.
      stopSignal: 'SIGINT',
      stopWithinMs: STOP_MS,
      signal: options.signal,
    });
  };
  const stop = async (): Promise<void> => server?.stop();
  await start();
  return {
    url: (database) => `postgres://postgres:${password}@127.0.0.1:${port}/${database}`,
    port,
    get pid() {
      return server?.pid ?? 0;
    },
    get ended() {
      return server?.ended ?? Promise.resolve();
    },
    start,
    stop,
    kill: (signal) => server?.kill(signal),
    [Symbol.asyncDispose]: stop,
  };
}
