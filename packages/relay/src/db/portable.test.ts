import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MIGRATIONS } from './migrations/index.ts';
import { migrationStatements } from './testing.ts';

/** What SQLite takes and PostgreSQL does not. */
const SQLITE_ONLY =
  /\b(autoincrement|without rowid|strict|pragma|rowid|datetime|blob|glob|ifnull|strftime|insert or|replace into)\b|`/i;
/** Types that mean the same on both. */
const TYPES = /^(text|integer|bigint)$/;

describe('migrations', () => {
  it('are plain SQL that PostgreSQL takes too', async () => {
    const statements = await migrationStatements();
    assert.ok(statements.length >= 6);
    for (const statement of statements) {
      assert.doesNotMatch(statement, SQLITE_ONLY, statement);
      if (!statement.startsWith('create table')) continue;
      for (const [, name, type] of statement.matchAll(/[(,] ?"(\w+)" ([a-z]+)/g)) {
        assert.match(type!, TYPES, `column ${name} of: ${statement}`);
      }
    }
  });

  it('are numbered in order, without gaps', () => {
    const names = Object.keys(MIGRATIONS);
    names.forEach((name, index) => {
      assert.ok(name.startsWith(`${String(index + 1).padStart(4, '0')}-`), name);
    });
  });
});
