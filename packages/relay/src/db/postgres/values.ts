import pg from 'pg';

/** OIDs of PostgreSQL's types, from pg_type.dat. */
const INT8 = 20;
const NUMERIC = 1700;

/** Whole numbers as SQLite's thread gives them: a number where it is exact, else a bigint. */
function whole(text: string): number | bigint {
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : BigInt(text);
}

function decimal(text: string): number | bigint {
  return /^-?\d+$/.test(text) ? whole(text) : Number(text);
}

export const TYPES: pg.CustomTypesConfig = {
  getTypeParser(oid: number, format?: 'text' | 'binary') {
    if (format !== 'binary' && oid === INT8) return whole;
    if (format !== 'binary' && oid === NUMERIC) return decimal;
    return pg.types.getTypeParser(oid, format as 'text') as never;
  },
};

/**
 * As SQLite takes it: booleans are 0 and 1. PostgreSQL's text has no NUL: it becomes U+FFFD, which
 * equals nothing that is stored.
 */
export function toPostgres(value: unknown): unknown {
  if (value === undefined) return null;
  if (typeof value === 'boolean') return value ? 1 : 0;
  if (typeof value === 'string' && value.includes('\0')) return value.replaceAll('\0', '\ufffd');
  return value;
}
