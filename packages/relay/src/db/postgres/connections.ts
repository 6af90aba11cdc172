import { setTimeout as sleep } from 'node:timers/promises';
import type { Socket } from 'node:net';
import type { PostgresPool, PostgresPoolClient, PostgresQueryResult } from 'kysely';
import pg from 'pg';
import { RelayError } from '../../errors.ts';
import type { DatabaseLogger } from '../database.ts';
import { isPoolFull, kindOf, textOf, told } from './failure.ts';
import { Lease } from './lease.ts';
import { POSTGRES_LIMITS } from './limits.ts';
import { TYPES } from './values.ts';

export interface ConnectionsOptions {
  readonly url: string;
  /** For messages. */
  readonly address: string;
  readonly max: number;
  readonly idleTimeoutMs: number;
  readonly statementTimeoutMs: number;
  /** How long a connection is tried for again while PostgreSQL is just starting, ms. */
  readonly retryForMs: number;
  readonly logger: DatabaseLogger | undefined;
}

/** Between attempts to connect, ms. */
const RETRY_EVERY_MS = 100;

/**
 * The connections to one PostgreSQL. One that broke is replaced at the next
 * use; a restart of PostgreSQL is waited for, shortly. Tells whether PostgreSQL
 * answers, also when nobody asks it anything.
 */
export class Connections implements PostgresPool {
  readonly options: pg.PoolConfig & { connectionString: string };
  readonly #settings: ConnectionsOptions;
  readonly #pool: pg.Pool;
  readonly #clients = new Set<pg.PoolClient>();
  readonly #closing = new AbortController();
  readonly #prober: NodeJS.Timeout;
  /** When each statement or wait that is not over began; oldest first. */
  readonly #open = new Map<object, number>();
  #lostSince: number | undefined;
  #unwritable = false;
  #answeredAt = performance.now();
  #probing = false;
  #closed: Promise<void> | undefined;

  constructor(settings: ConnectionsOptions) {
    this.#settings = settings;
    this.options = {
      connectionString: settings.url,
      max: settings.max,
      application_name: 'burrow-relay',
      connectionTimeoutMillis: POSTGRES_LIMITS.connectMs,
      idleTimeoutMillis: settings.idleTimeoutMs,
      // So that a failover behind one name is followed, and a server's memory is given back.
      maxLifetimeSeconds: POSTGRES_LIMITS.lifetimeMs / 1_000,
      statement_timeout: settings.statementTimeoutMs,
      lock_timeout: settings.statementTimeoutMs,
      idle_in_transaction_session_timeout: 2 * settings.statementTimeoutMs,
      // For a server that is gone without a word: its own bound did not come.
      query_timeout: settings.statementTimeoutMs + POSTGRES_LIMITS.silenceMs,
      keepAlive: true,
      // Whoever opened it closes it; forgetting that does not keep a process alive.
      allowExitOnIdle: true,
      types: TYPES,
    };
    this.#pool = new pg.Pool(this.options);
    this.#pool.on('connect', (client) => {
      this.#clients.add(client);
      // Also while it is in use but has no statement under way; the next one tells.
      client.on('error', () => {});
    });
    this.#pool.on('remove', (client) => this.#clients.delete(client));
    // A connection that nobody used broke: most often, PostgreSQL stopped.
    this.#pool.on('error', (error) => {
      this.failed(error);
      void this.#probe();
    });
    this.#prober = setInterval(() => {
      if (performance.now() - this.#answeredAt > POSTGRES_LIMITS.probeMs) void this.#probe();
    }, POSTGRES_LIMITS.probeMs);
    this.#prober.unref();
  }

  get address(): string {
    return this.#settings.address;
  }

  /** A restart of PostgreSQL is waited for so long, ms. */
  get retryForMs(): number {
    return this.#settings.retryForMs;
  }

  get healthy(): boolean {
    if (this.#closed || this.#lostSince !== undefined || this.#unwritable) return false;
    const oldest = this.#open.values().next().value;
    return oldest === undefined || performance.now() - oldest < POSTGRES_LIMITS.stuckMs;
  }

  async connect(): Promise<PostgresPoolClient> {
    return new Lease(this, await this.acquire());
  }

  /** Rejects with RelayError `unavailable`. */
  async acquire(): Promise<pg.PoolClient> {
    if (this.#closed) throw closed();
    if (this.#pool.waitingCount >= POSTGRES_LIMITS.waiting) {
      throw new RelayError('unavailable', 'The database is busy: too many wait for it.', {
        retryAfter: 1,
      });
    }
    return this.watch(async () => {
      const began = performance.now();
      for (;;) {
        try {
          return await this.#pool.connect();
        } catch (error) {
          if (this.#closed) throw closed();
          if (!isPoolFull(error)) this.failed(error);
          const since = Math.min(began, this.#lostSince ?? began);
          const passing = isPassing(error) && performance.now() - since < this.#settings.retryForMs;
          if (!passing) throw told(error);
          await sleep(RETRY_EVERY_MS, undefined, { signal: this.#closing.signal }).catch(() => {});
        }
      }
    });
  }

  /** Counts what `task` does as something that waits for PostgreSQL. */
  async watch<T>(task: () => Promise<T>): Promise<T> {
    const key = {};
    this.#open.set(key, performance.now());
    try {
      return await task();
    } finally {
      this.#open.delete(key);
    }
  }

  answered(result: PostgresQueryResult<unknown>): void {
    this.#answeredAt = performance.now();
    // Reads still work on a full disk: only a write that succeeds ends the trouble.
    const wrote = result.command !== 'SELECT' && result.rowCount > 0;
    if (wrote) this.#unwritable = false;
    this.#found();
  }

  failed(error: unknown): void {
    const kind = kindOf(error);
    if (kind === 'storage') this.#unwritable = true;
    if (kind !== 'lost') {
      this.#answeredAt = performance.now();
      this.#found();
    } else if (this.#lostSince === undefined && !this.#closed) {
      this.#lostSince = performance.now();
      const why = textOf(error);
      this.#settings.logger?.warn?.(
        { database: this.address, why },
        'the database does not answer',
      );
    }
  }

  #found(): void {
    if (this.#lostSince === undefined) return;
    const forMs = Math.round(performance.now() - this.#lostSince);
    this.#lostSince = undefined;
    this.#settings.logger?.info({ database: this.address, forMs }, 'the database is back');
  }

  async #probe(): Promise<void> {
    if (this.#probing || this.#closed) return;
    this.#probing = true;
    try {
      const lease = await this.connect();
      try {
        await lease.query('select 1', []);
      } finally {
        lease.release();
      }
    } catch {
      // `failed` has heard of it.
    } finally {
      this.#probing = false;
    }
  }

  /** What is under way may go on for so long, ms. Idempotent. */
  end(withinMs: number = POSTGRES_LIMITS.closeMs): Promise<void> {
    return (this.#closed ??= this.#end(withinMs));
  }

  async #end(withinMs: number): Promise<void> {
    clearInterval(this.#prober);
    this.#closing.abort();
    const cut = setTimeout(() => {
      for (const client of this.#clients) {
        (client as unknown as { connection?: { stream: Socket } }).connection?.stream.destroy();
      }
    }, withinMs);
    try {
      await this.#pool.end();
    } finally {
      clearTimeout(cut);
    }
  }
}

function closed(): RelayError {
  return new RelayError('unavailable', "The relay's database is closed.");
}

/** PostgreSQL is just stopping or starting: nothing was sent yet, so that trying again is safe. */
function isPassing(error: unknown): boolean {
  if (isPoolFull(error)) return false;
  const text = textOf(error);
  return /ECONNREFUSED|ECONNRESET|connect ENOENT|EPIPE|57P0[123]|terminated unexpectedly/.test(
    text,
  );
}
