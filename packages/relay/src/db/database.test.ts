import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { sql } from 'kysely';
import type { Database } from './database.ts';
import { isUniqueViolation, SqlError } from './sql-error.ts';
import { DATABASE_KIND, openTestDatabase } from './testing.ts';

let db: Database;

beforeEach(async () => {
  db = await openTestDatabase();
});

afterEach(() => db.close());

describe(`a database (${DATABASE_KIND})`, () => {
  it('carries null, bytes and integers of any size unharmed', async () => {
    const bytes = Uint8Array.of(0, 255, 7);
    const result = await sql<Record<string, unknown>>`select cast(${null} as text) as n,
      cast(${2n ** 62n} as bigint) as big, cast(${-(2n ** 62n)} as bigint) as low,
      cast(${Number.MIN_SAFE_INTEGER} as bigint) as least, cast(${true} as integer) as t,
      cast(${false} as integer) as f, count(*) as c, sum(1) as s, 1.5 as d`.execute(db.kysely);
    assert.deepEqual(result.rows, [
      {
        n: null,
        big: 2n ** 62n,
        low: -(2n ** 62n),
        least: Number.MIN_SAFE_INTEGER,
        t: 1,
        f: 0,
        c: 1,
        s: 1,
        d: 1.5,
      },
    ]);
    const back = await (DATABASE_KIND === 'sqlite'
      ? sql<{ b: Uint8Array }>`select ${bytes} as b`.execute(db.kysely)
      : sql<{ b: Uint8Array }>`select cast(${bytes} as bytea) as b`.execute(db.kysely));
    assert.deepEqual(Uint8Array.from(back.rows[0]!.b), bytes);
  });

  it('reads times as numbers, and takes any text', async () => {
    const at = 1_800_000_000_000;
    const id = 'ä "quoted" \\ $1 \u2028 😀';
    await db.kysely.insertInto('relay_heartbeat').values({ id, at }).execute();
    const rows = await db.kysely
      .selectFrom('relay_heartbeat')
      .selectAll()
      .where('id', '=', id)
      .execute();
    assert.deepEqual(rows, [{ id, at }]);
    // Asking for what cannot be there is no failure.
    const none = db.kysely.selectFrom('relay_heartbeat').selectAll().where('id', '=', 'a\0b');
    assert.deepEqual(await none.execute(), []);
  });

  it('says how many rows a statement changed', async () => {
    const values = ['a', 'b', 'c'].map((id) => ({ id, at: 1 }));
    await db.kysely.insertInto('relay_heartbeat').values(values).execute();
    const updated = await db.kysely
      .updateTable('relay_heartbeat')
      .set((row) => ({ at: row('at', '+', 1) }))
      .where('id', 'in', ['a', 'b', 'z'])
      .executeTakeFirst();
    assert.equal(updated.numUpdatedRows, 2n);
    const removed = await db.kysely
      .deleteFrom('relay_heartbeat')
      .where('at', '=', 2)
      .returning('id')
      .execute();
    assert.deepEqual(removed.map(({ id }) => id).sort(), ['a', 'b']);
    const [again] = await db.kysely
      .insertInto('relay_heartbeat')
      .values(values)
      .onConflict((conflict) => conflict.column('id').doNothing())
      .execute();
    assert.equal(again?.numInsertedOrUpdatedRows, 2n);
  });

  it('undoes a transaction that throws, and nothing else with it', async () => {
    const insert = (id: string) => db.kysely.insertInto('relay_heartbeat').values({ id, at: 1 });
    let outside: Promise<unknown> | undefined;
    await assert.rejects(
      db.kysely.transaction().execute(async (trx) => {
        await trx.insertInto('relay_heartbeat').values({ id: 'inside', at: 1 }).execute();
        outside = insert('outside').execute();
        await trx.selectFrom('relay_heartbeat').selectAll().execute();
        throw new Error('no');
      }),
      /no/,
    );
    await outside;
    const rows = await db.kysely.selectFrom('relay_heartbeat').select('id').execute();
    assert.deepEqual(rows, [{ id: 'outside' }]);
  });

  it('is of use after a statement of a transaction was refused', async () => {
    const twice = [{ id: 'x', at: 1 }];
    await assert.rejects(
      db.kysely.transaction().execute(async (trx) => {
        await trx.insertInto('relay_heartbeat').values(twice).execute();
        await trx.insertInto('relay_heartbeat').values(twice).execute();
      }),
      isUniqueViolation,
    );
    assert.deepEqual(await db.kysely.selectFrom('relay_heartbeat').selectAll().execute(), []);
  });

  it('runs transactions one after another', async () => {
    await db.kysely.insertInto('relay_heartbeat').values({ id: 'n', at: 0 }).execute();
    await Promise.all(
      Array.from({ length: 20 }, () =>
        db.kysely.transaction().execute(async (trx) => {
          const { at } = await trx
            .selectFrom('relay_heartbeat')
            .select('at')
            .executeTakeFirstOrThrow();
          await trx
            .updateTable('relay_heartbeat')
            .set({ at: at + 1 })
            .execute();
        }),
      ),
    );
    const { at } = await db.kysely
      .selectFrom('relay_heartbeat')
      .select('at')
      .executeTakeFirstOrThrow();
    assert.equal(at, 20);
  });

  it('tells a taken name from other failures, and stays healthy', async () => {
    const insert = () =>
      db.kysely.insertInto('relay_heartbeat').values({ id: 'x', at: 1 }).execute();
    await insert();
    await assert.rejects(insert(), isUniqueViolation);
    await assert.rejects(sql`select nonsense`.execute(db.kysely), (error) => {
      assert.ok(error instanceof SqlError && !isUniqueViolation(error));
      return true;
    });
    assert.equal(db.healthy(), true);
  });

  it('answers "unavailable" once it is closed', async () => {
    await db.close();
    await db.close();
    assert.equal(db.healthy(), false);
    await assert.rejects(sql`select 1`.execute(db.kysely), { code: 'unavailable' });
  });
});
