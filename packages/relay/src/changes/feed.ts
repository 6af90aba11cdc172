import type { Kysely } from 'kysely';
import { recordChange, type Change } from './record.ts';
import type { Tables } from '../db/tables.ts';
import type { ChangesRow } from './tables.ts';

/** How often other relays' changes are looked for, ms: with the watchers' own interval, under 1 s. */
export const POLL_EVERY_MS = 250;
/** Positions before the last one that are looked at again: a transaction may commit after a later one. */
const LOOK_BACK = 200;
/** Rows are kept for so long, ms: a relay whose database was away for less misses nothing. */
const KEEP_MS = 24 * 3_600_000;
/** Rows taken at once. */
const PAGE = 1_000;

export type ChangeListener = (change: ChangesRow) => void;

/** Own rows that were not read back yet: of transactions that failed they never are. */
const MAX_OWN = 10_000;

/**
 * What other relays on the same database changed: each change is told once to
 * every listener. Holds no timer: whoever has it calls `poll`.
 */
export class ChangeFeed {
  readonly #db: Kysely<Tables>;
  readonly #onListenerError: (error: unknown) => void;
  readonly #listeners = new Set<ChangeListener>();
  /** Id and position of what was told and may be read again. */
  readonly #told = new Map<string, number>();
  readonly #own = new Set<string>();
  #last = 0;

  constructor(db: Kysely<Tables>, onListenerError: (error: unknown) => void) {
    this.#db = db;
    this.#onListenerError = onListenerError;
  }

  /** Returns unsubscribe. */
  subscribe(listener: ChangeListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** A change of this relay, for the others; in the transaction that makes it. */
  async record(db: Kysely<Tables>, now: number, ...changes: readonly Change[]): Promise<void> {
    for (const id of await recordChange(db, now, ...changes)) this.#own.add(id);
    for (const id of this.#own) {
      if (this.#own.size <= MAX_OWN) break;
      this.#own.delete(id);
    }
  }

  /** What happened before this relay started concerns it not: it remembers nothing yet. */
  async prime(): Promise<void> {
    const { last } = await this.#db
      .selectFrom('changes')
      .select((row) => row.fn.max('position').as('last'))
      .executeTakeFirstOrThrow();
    this.#last = Number(last ?? 0);
    for (const row of await this.#next(this.#last - LOOK_BACK)) this.#remember(row);
  }

  /** Rejects when the database does; nothing is missed then. */
  async poll(): Promise<void> {
    for (let after = this.#last - LOOK_BACK; ;) {
      const rows = await this.#next(after);
      for (const row of rows) {
        if (this.#told.has(row.id)) continue;
        this.#remember(row);
        if (!this.#own.delete(row.id)) this.#tell(row);
      }
      // Rows may share a position: the last one's are read again.
      const end = Number(rows.at(-1)?.position ?? 0) - 1;
      if (rows.length < PAGE || end <= after) break;
      after = end;
    }
    for (const [id, position] of this.#told) {
      if (position <= this.#last - LOOK_BACK) this.#told.delete(id);
    }
  }

  /** Deletes what everybody has read long ago; never the newest, from which positions go on. */
  async purge(now: number): Promise<void> {
    await this.#db
      .deleteFrom('changes')
      .where('at', '<', now - KEEP_MS)
      .where('position', '<', this.#last - LOOK_BACK)
      .execute();
  }

  #next(after: number): Promise<ChangesRow[]> {
    return this.#db
      .selectFrom('changes')
      .selectAll()
      .where('position', '>', after)
      .orderBy('position')
      .limit(PAGE)
      .execute();
  }

  #remember(row: ChangesRow): void {
    const position = Number(row.position);
    this.#told.set(row.id, position);
    this.#last = Math.max(this.#last, position);
  }

  #tell(row: ChangesRow): void {
    for (const listener of this.#listeners) {
      try {
        listener(row);
      } catch (error) {
        this.#onListenerError(error);
      }
    }
  }
}
