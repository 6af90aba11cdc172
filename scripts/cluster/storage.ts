import { createHash, randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import pg from 'pg';
import { postgresUser, startPostgres, type PostgresServer } from '../lib/postgres-server.ts';
import { startRedisServer, type RedisProcess } from '../lib/redis-server.ts';
import { freePort } from '../lib/server-process.ts';
import { Kept } from './kept.ts';

const DATABASE = 'burrow';

export interface StorageOptions {
  readonly folder: string;
  readonly signal: AbortSignal;
  /** One of both ended by itself; it is started again. */
  readonly onEnded: (what: string) => void;
  readonly onStarted: () => void;
}

export interface Storage {
  readonly postgres: Kept<PostgresServer>;
  readonly redis: Kept<RedisProcess>;
  /** Settings that each relay needs, as environment; secrets are in files of `folder`. */
  readonly env: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

/** What the relays of a cluster share: a database, Redis, and a secret. */
export async function startStorage(options: StorageOptions): Promise<Storage> {
  const { folder, signal, onStarted } = options;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const home = postgresFolder(folder);
  const onEnded = (name: string) => (): void => {
    options.onEnded(`${name} ended. It is started again.`);
  };
  // They keep their ports when they start again: relays know them by those.
  const [postgresPort, redisPort] = [await freePort(), await freePort()];
  const password = randomBytes(24).toString('base64url');
  const redisFolder = join(folder, 'redis');
  const [postgres, redis] = await bothOrNone(
    Kept.start({
      start: () => startPostgres({ folder: home, port: postgresPort, durable: true, signal }),
      onEnded: onEnded('PostgreSQL'),
      onStarted,
      signal,
    }),
    Kept.start({
      start: () => startRedisServer({ folder: redisFolder, port: redisPort, password, signal }),
      onEnded: onEnded('Redis'),
      onStarted,
      signal,
    }),
  );
  const stop = async (): Promise<void> => {
    await Promise.all([postgres.stop(), redis.stop()]);
  };
  try {
    await makeDatabase(postgres.running.url('postgres'));
    const secretFile = join(folder, 'cluster-secret');
    if (!existsSync(secretFile)) write(secretFile, randomBytes(48).toString('base64'));
    const urlFile = join(folder, 'database-url');
    write(urlFile, postgres.running.url(DATABASE));
    const redisFile = join(folder, 'redis-url');
    write(redisFile, redis.running.url);
    const env = {
      BURROW_RELAY_DATABASE__URL_FILE: urlFile,
      BURROW_RELAY_CLUSTER__REDIS_URL_FILE: redisFile,
      BURROW_RELAY_CLUSTER__SECRET_FILE: secretFile,
    };
    return { postgres, redis, env, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function bothOrNone<A extends { stop(): Promise<void> }, B extends { stop(): Promise<void> }>(
  a: Promise<A>,
  b: Promise<B>,
): Promise<[A, B]> {
  const results = await Promise.allSettled([a, b]);
  const failed = results.find((result) => result.status === 'rejected');
  if (failed === undefined) return Promise.all([a, b]);
  await Promise.all(
    results.map(async (result) => {
      if (result.status === 'fulfilled') await result.value.stop();
    }),
  );
  throw failed.reason;
}

async function makeDatabase(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query('select from pg_database where datname = $1', [DATABASE]);
    if (rows.length === 0) await client.query(`create database ${DATABASE}`);
  } finally {
    await client.end();
  }
}

/**
 * As root, PostgreSQL runs as user `postgres`, who must be able to pass through every folder above
 * its own. Where that user may not, its data is kept elsewhere, named after the data folder.
 */
export function postgresFolder(folder: string): string {
  const inside = join(folder, 'postgres');
  if (postgresUser() === undefined) return inside;
  chmodSync(folder, 0o711);
  if (everybodyMayPass(folder)) return inside;
  const name = createHash('sha256').update(folder).digest('hex').slice(0, 16);
  const outside = join('/var/tmp', `burrow-cluster-${name}`, 'postgres');
  mkdirSync(dirname(outside), { recursive: true });
  chmodSync(dirname(outside), 0o711);
  process.stderr.write(
    `  User postgres may not enter ${folder}: the database is kept in ${outside}\n`,
  );
  return outside;
}

function everybodyMayPass(folder: string): boolean {
  for (let each = folder; ; each = dirname(each)) {
    if ((statSync(each).mode & 0o001) === 0) return false;
    if (each === dirname(each)) return true;
  }
}

function write(file: string, text: string): void {
  if (existsSync(file) && readFileSync(file, 'utf8') === text) return;
  writeFileSync(file, text, { mode: 0o600 });
}
