import type { AuditAction, AuditOutcome } from '@burrow/api';

/** Rows of migration `0004-audit`. */
export interface AuditEventRow {
  /** 28 hex digits, the first 12 of them `at`. */
  readonly id: string;
  /** ms since the epoch. */
  readonly at: number;
  readonly action: AuditAction;
  readonly outcome: AuditOutcome;
  readonly user_id: string | null;
  readonly username: string | null;
  readonly workspace: string | null;
  readonly address: string | null;
  readonly channel: string | null;
  readonly detail: string;
}

export interface AuditTables {
  readonly audit_events: AuditEventRow;
}
