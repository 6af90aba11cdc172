// A relay on a real PostgreSQL: starting together, restarts, freezes, and what is said when it cannot be used.
import assert from 'node:assert/strict';
import { chmodSync, chownSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { sql } from 'kysely';
import pg from 'pg';
import { configSchema } from '../../packages/relay/src/config/schema.ts';
import { openDatabase } from '../../packages/relay/src/db/database.ts';
import { MIGRATIONS } from '../../packages/relay/src/db/migrations/index.ts';
import { createLogger } from '../../packages/relay/src/observe/logger.ts';
import { createRelay } from '../../packages/relay/src/relay.ts';
import { postgresUser, type PostgresServer } from '../../scripts/lib/postgres-server.ts';
import { startBurrow } from '../harness/burrow.ts';
import { selfSignedCertificate } from '../harness/certificate.ts';
import { eventually } from '../harness/eventually.ts';
import { postgresForTests } from '../harness/postgres.ts';

let server: PostgresServer;
before(async () => {
  server = await postgresForTests();
});
after(() => server[Symbol.asyncDispose]());

let made = 0;
async function emptyDatabase(more = ''): Promise<string> {
  const name = `relays_${++made}`;
  const admin = new pg.Client({ connectionString: server.url('postgres') });
  await admin.connect();
  await admin.query(`create database ${name} ${more}`);
  await admin.end();
  return server.url(name);
}

const passwordOf = (url: string): string => new URL(url).password;

describe('relays on one PostgreSQL', () => {
  it('migrate it once, when three start at the same moment', async (t) => {
    const url = await emptyDatabase();
    const folder = mkdtempSync(join(tmpdir(), 'burrow-postgres-'));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const updates: unknown[] = [];
    const relays = await Promise.all(
      [1, 2, 3].map(async (each) => {
        const config = configSchema.parse({
          dataDir: join(folder, String(each)),
          database: { url },
          listen: { port: 0 },
          ssh: { enabled: false },
          log: { level: 'info' },
        });
        const log = createLogger({
          ...config.log,
          pretty: 'never',
          destination: {
            write(line: string) {
              const { msg, applied } = JSON.parse(line) as { msg: string; applied: unknown };
              if (msg === 'database schema updated') updates.push(applied);
            },
          },
        });
        const relay = await createRelay(config, { logger: log });
        t.after(() => relay.stop(0));
        await relay.start();
        return relay;
      }),
    );
    assert.deepEqual(updates, [Object.keys(MIGRATIONS)]);
    // One administrator, whoever comes first.
    const admins = await Promise.all(relays.map((relay) => relay.auth.users.ensureLocalAdmin()));
    assert.equal(new Set(admins.map(({ userId }) => userId)).size, 1);
    for (const relay of relays) assert.equal(relay.readiness().ready, true);
    // What one has made, the others know.
    const { token } = await relays[0]!.auth.tokens.create(admins[0]!.userId, 'shared');
    assert.equal((await relays[2]!.auth.tokens.verify(token))?.userId, admins[0]!.userId);
  });

  it('may share it with other programs, each in its schema', async () => {
    const url = await emptyDatabase();
    const admin = new pg.Client({ connectionString: url });
    await admin.connect();
    await admin.query(`create table kysely_migration (name text, other text);
      insert into kysely_migration values ('9999-of-somebody-else', ''); create schema burrow`);
    await admin.end();
    const own = new URL(url);
    own.searchParams.set('options', '-c search_path=burrow');
    for (let times = 0; times < 2; times += 1) {
      const db = await openDatabase({ url: own.href });
      assert.deepEqual(await db.kysely.selectFrom('users').selectAll().execute(), []);
      await db.close();
    }
  });
});

describe('when PostgreSQL restarts under a running relay', () => {
  it('requests wait for a short restart, and none fails', { timeout: 60_000 }, async () => {
    await using burrow = await startBurrow({
      config: { database: { url: await emptyDatabase() } },
    });
    let running = true;
    const answers = new Map<number, number>();
    const asking = Promise.all(
      [1, 2, 3].map(async () => {
        while (running) {
          // Another token each time is no use: the list itself is read from the database.
          const { status } = await burrow.send('/api/v1/workspaces');
          answers.set(status, (answers.get(status) ?? 0) + 1);
        }
      }),
    );
    for (let times = 0; times < 3; times += 1) {
      const asked = answers.get(200) ?? 0;
      await server.stop();
      await server.start();
      await eventually('answers again', () => (answers.get(200) ?? 0) > asked + 10);
    }
    running = false;
    await asking;
    assert.deepEqual([...answers.keys()], [200]);
    await eventually('ready', () => burrow.relay.readiness().ready, 5_000);
  });

  it('a long outage is told, and over by itself', { timeout: 60_000 }, async () => {
    const url = await emptyDatabase();
    const lines: string[] = [];
    const folder = mkdtempSync(join(tmpdir(), 'burrow-postgres-'));
    const config = configSchema.parse({
      dataDir: folder,
      database: { url },
      listen: { port: 0 },
      ssh: { enabled: false },
      log: { level: 'debug' },
    });
    const destination = { write: (line: string) => void lines.push(line) };
    const relay = await createRelay(config, {
      logger: createLogger({ ...config.log, pretty: 'never', destination }),
    });
    try {
      await relay.start();
      const admin = await relay.auth.users.ensureLocalAdmin();
      const { token } = await relay.auth.tokens.create(admin.userId, 'tests');
      const ask = (path: string): Promise<Response> =>
        fetch(new URL(path, relay.url), { headers: { authorization: `Bearer ${token}` } });
      assert.equal((await ask('/api/v1/workspaces')).status, 200);

      await server.stop();
      await eventually('not ready', () => !relay.readiness().ready, 3_000);
      assert.equal(relay.readiness().parts['database'], 'does not answer');
      const began = performance.now();
      const answer = await ask('/api/v1/workspaces');
      assert.equal(answer.status, 503);
      assert.ok(answer.headers.has('retry-after'));
      const { error } = (await answer.json()) as { error: { code: string; message: string } };
      assert.equal(error.code, 'unavailable');
      assert.doesNotMatch(error.message, /127\.0\.0\.1|postgres/i, 'tells strangers no addresses');
      assert.ok(performance.now() - began < 5_000, 'is told soon');

      await server.start();
      await eventually('ready again', () => relay.readiness().ready, 5_000);
      assert.equal((await ask('/api/v1/workspaces')).status, 200);
    } finally {
      await relay.stop(0);
      rmSync(folder, { recursive: true, force: true });
    }
    const log = lines.join('');
    assert.match(log, /the database does not answer.*\n[^]*the database is back/);
    assert.ok(!log.includes(passwordOf(url)), 'no password in the log');
  });

  it(
    'a PostgreSQL that is frozen is noticed, and taken up again',
    { timeout: 60_000 },
    async () => {
      const db = await openDatabase({ url: await emptyDatabase(), statementTimeoutMs: 1_000 });
      try {
        const frozen: number[] = [];
        const { rows } = await sql<{ pid: number }>`select pid from pg_stat_activity
        where datname = current_database()`.execute(db.kysely);
        frozen.push(...rows.map(({ pid }) => pid));
        const kill = (signal: NodeJS.Signals): void => {
          for (const pid of [server.pid, ...frozen]) process.kill(pid, signal);
        };
        kill('SIGSTOP');
        try {
          await eventually('unhealthy', () => !db.healthy(), 15_000);
          await assert.rejects(sql`select 1`.execute(db.kysely), { code: 'unavailable' });
        } finally {
          kill('SIGCONT');
        }
        await eventually('healthy', () => db.healthy(), 15_000);
        await sql`select 1`.execute(db.kysely);
      } finally {
        await db.close();
      }
    },
  );

  it('a statement that takes too long is ended, and the next one is served', async () => {
    const db = await openDatabase({ url: await emptyDatabase(), statementTimeoutMs: 300 });
    try {
      await assert.rejects(sql`select pg_sleep(5)`.execute(db.kysely), {
        code: 'unavailable',
        retryAfter: 1,
      });
      assert.equal(db.healthy(), true);
      // Nor does somebody who waits for a transaction wait for ever.
      await db.kysely.transaction().execute(async () => {
        const other = db.kysely.transaction().execute(async () => {});
        await assert.rejects(other, { code: 'unavailable' });
      });
      await db.kysely.transaction().execute(async () => {});
    } finally {
      await db.close();
    }
  });

  it('never has more connections than it may', async () => {
    const db = await openDatabase({ url: await emptyDatabase(), maxConnections: 3 });
    try {
      const counts = await Promise.all(
        Array.from({ length: 40 }, async () => {
          const { rows } = await sql<{ n: number }>`select count(*) as n, pg_sleep(0.01) from
            pg_stat_activity where datname = current_database()`.execute(db.kysely);
          return rows[0]!.n;
        }),
      );
      assert.ok(Math.max(...counts) <= 3, String(counts));
    } finally {
      await db.close();
    }
  });
});

describe('with TLS', () => {
  it('takes a certificate of the named authority, and no other', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'burrow-postgres-'));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    chmodSync(folder, 0o755);
    const good = await selfSignedCertificate(folder, 'database.test');
    const other = await selfSignedCertificate(folder, 'other.test');
    const user = postgresUser();
    if (user) chownSync(good.keyFile, user.uid, user.gid);
    await using secure = await postgresForTests({
      ssl: 'on',
      ssl_cert_file: good.certFile,
      ssl_key_file: good.keyFile,
    });
    const url = (file: string): string =>
      `${secure.url('postgres')}?sslmode=verify-full&sslrootcert=${encodeURIComponent(file)}`;
    const db = await openDatabase({ url: url(good.certFile) });
    const { rows } = await sql<{ ssl: boolean }>`select ssl from pg_stat_ssl
      where pid = pg_backend_pid()`.execute(db.kysely);
    await db.close();
    assert.deepEqual(rows, [{ ssl: true }]);
    await assert.rejects(openDatabase({ url: url(other.certFile) }), {
      code: 'config-invalid',
      message: /self-signed certificate/,
    });
    await assert.rejects(openDatabase({ url: url(join(folder, 'none.crt')) }), {
      code: 'config-invalid',
      message: /none\.crt/,
    });
  });
});

describe('a PostgreSQL that cannot be used at start', () => {
  const refused = async (url: string, code: string, words: RegExp): Promise<void> => {
    await assert.rejects(openDatabase({ url }), (error: Error & { code?: string }) => {
      assert.equal(error.code, code);
      assert.match(error.message, words);
      const password = passwordOf(url);
      assert.ok(!(error.stack ?? '').includes(password));
      assert.ok(!JSON.stringify(error).includes(password));
      return true;
    });
  };

  it('refuses the password', async () => {
    const url = new URL(server.url('postgres'));
    url.password = 'a-wrong-password';
    await refused(url.href, 'config-invalid', /refused: password authentication failed/);
  });

  it('has no such database', () =>
    refused(server.url('nowhere'), 'config-invalid', /"nowhere" does not exist.*database\.url/));

  it('offers no TLS where TLS is asked for', () =>
    refused(`${server.url('postgres')}?sslmode=verify-full`, 'config-invalid', /SSL/));

  it('is encoded otherwise', async () => {
    const url = await emptyDatabase("encoding 'SQL_ASCII' locale 'C' template template0");
    await refused(url, 'config-invalid', /encoded in SQL_ASCII.*encoding UTF8/);
  });

  it('was written by a newer relay', async () => {
    const url = await emptyDatabase();
    const db = await openDatabase({ url });
    await sql`insert into kysely_migration (name, timestamp) values ('9999-later', 'x')`.execute(
      db.kysely,
    );
    await db.close();
    await refused(url, 'config-invalid', /newer relay \(it has "9999-later"\)/);
  });

  it('is just starting: it is waited for', { timeout: 60_000 }, async () => {
    const url = await emptyDatabase();
    await server.stop();
    const opening = openDatabase({ url });
    await server.start();
    await (await opening).close();
  });

  it('is given up at once when opening is called off', { timeout: 60_000 }, async () => {
    const url = await emptyDatabase();
    await assert.rejects(
      openDatabase({ url, signal: AbortSignal.abort(new Error('no')) }),
      /^Error: no$/,
    );
    // Somebody else migrates, and takes long.
    const other = new pg.Client({ connectionString: url });
    await other.connect();
    await other.query('select pg_advisory_lock(108281535264050)');
    const off = new AbortController();
    const opening = openDatabase({ url, signal: off.signal });
    const waits = async (): Promise<boolean> => {
      const { rows } = await other.query('select from pg_locks where not granted');
      return rows.length > 0;
    };
    await eventually('it waits for the lock', waits);
    const began = performance.now();
    off.abort(new Error('called off'));
    await assert.rejects(opening, /called off/);
    assert.ok(performance.now() - began < 3_000);
    await other.end();
    // Nothing was left behind, and nobody waits any more.
    await (await openDatabase({ url })).close();
  });

  it('is no URL of PostgreSQL', async () => {
    for (const url of ['mysql://u:secret@h/d', 'postgres://u:sec#ret@h:x/d', 'secret']) {
      await assert.rejects(openDatabase({ url }), (error: Error & { code?: string }) => {
        assert.equal(error.code, 'config-invalid');
        assert.doesNotMatch(`${error.stack} ${JSON.stringify(error)}`, /sec/);
        return true;
      });
    }
  });
});
