import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { RelayError } from '../errors.ts';
import { isStorageFailure, SqlError } from './sql-error.ts';
import type {
  FromWorker,
  SqlFailure,
  SqlValue,
  Statement,
  StatementResult,
  ToWorker,
  WorkerOptions,
} from './worker-messages.ts';

export interface RunResult {
  readonly rows: readonly Record<string, SqlValue>[];
  readonly changes: number | bigint;
}

interface Waiting {
  readonly sql: string;
  readonly since: number;
  readonly resolve: (result: RunResult) => void;
  readonly reject: (error: Error) => void;
}

/** Over this many unanswered statements, new ones are refused: memory stays bounded. */
const MAX_WAITING = 20_000;
/** A database that has not answered for this long counts as unhealthy, ms. */
const STUCK_AFTER_MS = 5_000;
const CLOSE_WITHIN_MS = 5_000;

/** The event loop's side of the database's thread. Statements of one turn travel in one message. */
export class WorkerClient {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #outbox: Statement[] = [];
  #nextId = 1;
  #gone: string | undefined;
  #troubled = false;
  readonly #exit: Promise<unknown>;

  private constructor(worker: Worker) {
    this.#worker = worker;
    this.#exit = new Promise((resolve) => worker.once('exit', resolve));
    worker.on('message', (message: FromWorker) => {
      if (message.kind === 'results') for (const result of message.results) this.#settle(result);
    });
    worker.on('error', (error) => this.#fail(`its thread failed: ${String(error)}`));
    worker.on('exit', () => this.#fail('its thread ended'));
  }

  /** Rejects with SqlError when the file cannot be opened, or with the signal's reason. */
  static async open(options: WorkerOptions, signal: AbortSignal): Promise<WorkerClient> {
    signal.throwIfAborted();
    const worker = new Worker(new URL('./worker.ts', import.meta.url), {
      workerData: options,
      name: 'database',
      // Early releases of Node 24 call node:sqlite experimental.
      execArgv: ['--disable-warning=ExperimentalWarning'],
    });
    const client = new WorkerClient(worker);
    try {
      const [first] = (await once(worker, 'message', { signal })) as [FromWorker];
      if (first.kind === 'failed') throw new SqlError(first.failure);
      return client;
    } catch (error) {
      await client.close();
      if (signal.aborted) throw signal.reason;
      throw error;
    }
  }

  get healthy(): boolean {
    if (this.#gone !== undefined || this.#troubled) return false;
    const oldest = this.#waiting.values().next().value;
    return oldest === undefined || performance.now() - oldest.since < STUCK_AFTER_MS;
  }

  run(sql: string, parameters: readonly SqlValue[]): Promise<RunResult> {
    if (this.#gone !== undefined) return Promise.reject(this.#unavailable());
    if (this.#waiting.size >= MAX_WAITING) {
      return Promise.reject(
        new RelayError('unavailable', 'The database is busy: too many statements wait for it.', {
          retryAfter: 1,
        }),
      );
    }
    const id = this.#nextId++;
    if (this.#outbox.length === 0) queueMicrotask(() => this.#flush());
    this.#outbox.push({ id, sql, parameters });
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { sql, since: performance.now(), resolve, reject });
    });
  }

  /** Ends the thread after what was sent; by force when that takes over 5 s. Idempotent. */
  async close(): Promise<void> {
    this.#flush();
    this.#post({ kind: 'close' });
    const timer = setTimeout(() => void this.#worker.terminate(), CLOSE_WITHIN_MS);
    try {
      await this.#exit;
    } finally {
      clearTimeout(timer);
    }
  }

  #flush(): void {
    if (this.#outbox.length === 0) return;
    const statements = this.#outbox;
    this.#outbox = [];
    this.#post({ kind: 'run', statements });
  }

  #post(message: ToWorker): void {
    if (this.#gone === undefined) this.#worker.postMessage(message);
  }

  #settle(result: StatementResult): void {
    const waiting = this.#waiting.get(result.id);
    if (!waiting) return;
    this.#waiting.delete(result.id);
    if ('failure' in result) {
      this.#note(result.failure);
      waiting.reject(new SqlError(result.failure));
    } else {
      // Reads still work on a full disk: only a write that succeeds ends the trouble.
      if (result.rows.length === 0 && result.changes !== 0) this.#troubled = false;
      waiting.resolve(result);
    }
  }

  #note(failure: SqlFailure): void {
    if (isStorageFailure(failure)) this.#troubled = true;
  }

  #fail(why: string): void {
    if (this.#gone !== undefined) return;
    this.#gone = why;
    for (const { reject } of this.#waiting.values()) reject(this.#unavailable());
    this.#waiting.clear();
  }

  #unavailable(): RelayError {
    return new RelayError('unavailable', `The relay's database does not answer: ${this.#gone}.`);
  }
}
