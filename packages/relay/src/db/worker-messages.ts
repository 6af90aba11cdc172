/** What crosses between the event loop and the database's thread. */

export type SqlValue = null | number | bigint | string | Uint8Array;

export interface WorkerOptions {
  readonly path: string;
  readonly busyTimeoutMs: number;
  readonly exclusive: boolean;
  readonly maxPages: number | undefined;
}

export type ToWorker =
  | { readonly kind: 'run'; readonly statements: readonly Statement[] }
  | { readonly kind: 'close' };

export interface Statement {
  readonly id: number;
  readonly sql: string;
  readonly parameters: readonly SqlValue[];
}

export interface SqlFailure {
  readonly message: string;
  /** SQLite's extended result code, see sqlite.org/rescode.html; 0 when it is not SQLite's. */
  readonly sqlite: number;
  /** PostgreSQL's SQLSTATE; never of SQLite's thread. */
  readonly state?: string;
}

export type StatementResult =
  | {
      readonly id: number;
      readonly rows: readonly Record<string, SqlValue>[];
      readonly changes: number | bigint;
    }
  | { readonly id: number; readonly failure: SqlFailure };

export type FromWorker =
  | { readonly kind: 'open' }
  | { readonly kind: 'failed'; readonly failure: SqlFailure }
  | { readonly kind: 'results'; readonly results: readonly StatementResult[] };
