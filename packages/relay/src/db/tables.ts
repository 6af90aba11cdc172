import type { AuditTables } from '../audit/tables.ts';
import type { AuthTables } from '../auth/tables.ts';
import type { ChangesTables } from '../changes/tables.ts';
import type { ControlTables } from '../control/tables.ts';
import type { KeysTables } from '../keys/tables.ts';

/** Every table of the relay's database. */
export interface Tables extends ControlTables, AuthTables, AuditTables, ChangesTables, KeysTables {}
