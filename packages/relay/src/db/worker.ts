import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { parentPort, workerData } from 'node:worker_threads';
import type {
  FromWorker,
  SqlFailure,
  SqlValue,
  Statement,
  StatementResult,
  ToWorker,
  WorkerOptions,
} from './worker-messages.ts';

/**
 * The database's own thread: `node:sqlite` blocks, and the event loop carries
 * every keystroke. One connection; statements run in the order they arrive.
 */

const MAX_PREPARED = 200;
const port = parentPort!;
const options = workerData as WorkerOptions;
const prepared = new Map<string, StatementSync>();
let database: DatabaseSync | undefined;

function send(message: FromWorker): void {
  port.postMessage(message);
}

function failureOf(error: unknown): SqlFailure {
  const { message, errcode } = error as { message?: string; errcode?: number };
  return { message: message ?? String(error), sqlite: errcode ?? 0 };
}

function open(): DatabaseSync {
  const db = new DatabaseSync(options.path, { timeout: options.busyTimeoutMs });
  try {
    // Exclusive must come first: the lock is then held from the first read until close, and
    // the kernel drops it with the process.
    if (options.exclusive) db.exec('PRAGMA locking_mode = EXCLUSIVE');
    db.exec('PRAGMA journal_mode = WAL');
    db.exec('PRAGMA synchronous = NORMAL');
    db.exec('PRAGMA foreign_keys = ON');
    if (options.maxPages !== undefined) db.exec(`PRAGMA max_page_count = ${options.maxPages}`);
    if (options.exclusive) db.exec('BEGIN EXCLUSIVE; COMMIT');
    // A write that changes nothing: a full disk is met here, not in the middle of the work.
    db.exec('PRAGMA user_version = 0');
    const found = db.prepare('PRAGMA quick_check(1)').get() as { quick_check?: string };
    if (found.quick_check !== 'ok') {
      // 11 is SQLITE_CORRUPT.
      throw Object.assign(new Error(found.quick_check), { errcode: 11 });
    }
  } catch (error) {
    db.close();
    throw error;
  }
  return db;
}

function statement(db: DatabaseSync, sql: string): StatementSync {
  const known = prepared.get(sql);
  if (known) return known;
  const made = db.prepare(sql);
  made.setReadBigInts(true);
  if (prepared.size >= MAX_PREPARED) {
    const oldest = prepared.keys().next().value;
    if (oldest !== undefined) prepared.delete(oldest);
  }
  prepared.set(sql, made);
  return made;
}

/** Integers are read as bigint, so that none overflows; those that fit become numbers. */
function plain(row: Record<string, unknown>): Record<string, SqlValue> {
  const out: Record<string, SqlValue> = {};
  for (const key of Object.keys(row)) {
    const value = row[key] as SqlValue;
    out[key] =
      typeof value === 'bigint' && BigInt.asIntN(54, value) === value ? Number(value) : value;
  }
  return out;
}

function run(db: DatabaseSync, { id, sql, parameters }: Statement): StatementResult {
  try {
    const ready = statement(db, sql);
    if (ready.columns().length > 0) {
      const rows = ready.all(...parameters).map(plain);
      return { id, rows, changes: rows.length };
    }
    return { id, rows: [], changes: ready.run(...parameters).changes };
  } catch (error) {
    return { id, failure: failureOf(error) };
  }
}

try {
  database = open();
  send({ kind: 'open' });
} catch (error) {
  send({ kind: 'failed', failure: failureOf(error) });
  port.close();
}

port.on('message', (message: ToWorker) => {
  if (message.kind === 'close') {
    prepared.clear();
    database?.close();
    database = undefined;
    port.close();
    return;
  }
  const db = database;
  if (!db) return;
  send({ kind: 'results', results: message.statements.map((each) => run(db, each)) });
});
