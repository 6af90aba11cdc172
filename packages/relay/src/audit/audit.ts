import type { Kysely } from 'kysely';
import { rowOf, timePart, type AuditEvent } from './event.ts';
import type { AuditEventRow, AuditTables } from './tables.ts';

export interface AuditOptions {
  readonly db: Kysely<AuditTables>;
  readonly logger: { warn(fields: object, message: string): void };
  /** Days that events are kept. Default 90. */
  readonly retentionDays?: number;
  /** ms since the epoch. Default: the system's clock. */
  readonly clock?: { now(): number };
  /** Events that were lost, for a counter. */
  readonly onDropped?: (count: number) => void;
}

/** The book of who did what. Holds a timer: stop it. */
export interface Audit {
  /** Never throws, never waits: written within a second, in batches. */
  record(event: AuditEvent): void;
  /** Writes what waits now. Resolves also when the database refuses: then it waits on. */
  flush(): Promise<void>;
  /** Writes what is left, says how many could not be, and ends the timers. Idempotent. */
  stop(): Promise<void>;
}

export const AUDIT_LIMITS = Object.freeze({
  /** An event waits at most this long, or until a batch is full. */
  flushMs: 1_000,
  /** Rows of one statement. */
  batchRows: 200,
  /** Events that wait for the database, each of at most 3 KB; over it the oldest are dropped. */
  waitingEvents: 10_000,
  retentionDays: 90,
  /** How often old events are removed. */
  sweepMs: 3_600_000,
});

const DAY_MS = 86_400_000;
/** Rows removed by one statement: others wait for it. */
const SWEEP_ROWS = 1_000;

export function createAudit(options: AuditOptions): Audit {
  const { db, logger } = options;
  const clock = options.clock ?? { now: Date.now };
  const keepMs = (options.retentionDays ?? AUDIT_LIMITS.retentionDays) * DAY_MS;
  let waiting: AuditEventRow[] = [];
  let dropped = 0;
  let failing = false;
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  let writing: Promise<void> | undefined;
  let sweeping: Promise<void> | undefined;
  const sweeper = setInterval(beginSweep, AUDIT_LIMITS.sweepMs);
  sweeper.unref();
  beginSweep();

  function record(event: AuditEvent): void {
    if (stopped) return lose(1);
    waiting.push(rowOf(event, clock.now()));
    const over = waiting.length - AUDIT_LIMITS.waitingEvents;
    if (over > 0) {
      waiting.splice(0, over);
      lose(over);
    }
    if (!failing && waiting.length >= AUDIT_LIMITS.batchRows) void flush();
    else schedule();
  }

  function lose(count: number): void {
    dropped += count;
    options.onDropped?.(count);
    if (stopped) tellLosses();
  }

  function schedule(): void {
    if (stopped || timer !== undefined) return;
    timer = setTimeout(() => {
      timer = undefined;
      void flush();
    }, AUDIT_LIMITS.flushMs);
    timer.unref();
  }

  function flush(): Promise<void> {
    writing ??= write().finally(() => {
      writing = undefined;
      if (waiting.length > 0) schedule();
    });
    return writing;
  }

  async function write(): Promise<void> {
    tellLosses();
    while (waiting.length > 0) {
      const batch = waiting.splice(0, AUDIT_LIMITS.batchRows);
      try {
        await db
          .insertInto('audit_events')
          .values(batch)
          // What seemed to fail may have been written.
          .onConflict((conflict) => conflict.column('id').doNothing())
          .execute();
        failing = false;
      } catch (error) {
        waiting = [...batch, ...waiting];
        const over = waiting.length - AUDIT_LIMITS.waitingEvents;
        if (over > 0) {
          waiting.splice(0, over);
          lose(over);
        }
        if (!failing) logger.warn({ err: error }, 'audit events cannot be written; they wait');
        failing = true;
        return;
      }
    }
  }

  function tellLosses(): void {
    if (dropped === 0) return;
    logger.warn({ dropped }, 'audit events were lost: too many waited for the database');
    dropped = 0;
  }

  function beginSweep(): void {
    sweeping ??= sweep()
      .catch((error: unknown) => logger.warn({ err: error }, 'old audit events were not removed'))
      .finally(() => (sweeping = undefined));
  }

  async function sweep(): Promise<void> {
    const before = timePart(clock.now() - keepMs);
    for (let removed = SWEEP_ROWS; removed === SWEEP_ROWS && !stopped;) {
      const result = await db
        .deleteFrom('audit_events')
        .where('id', 'in', (from) =>
          from
            .selectFrom('audit_events')
            .select('id')
            .where('id', '<', before)
            .orderBy('id')
            .limit(SWEEP_ROWS),
        )
        .executeTakeFirst();
      removed = Number(result.numDeletedRows);
    }
  }

  let stopping: Promise<void> | undefined;
  async function stop(): Promise<void> {
    stopped = true;
    clearInterval(sweeper);
    clearTimeout(timer);
    await sweeping;
    await writing;
    await flush();
    if (waiting.length > 0) lose(waiting.splice(0).length);
    tellLosses();
  }

  return { record, flush, stop: () => (stopping ??= stop()) };
}
