import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { sql } from 'kysely';
import { RelayError } from '../errors.ts';
import { openDatabase, type Database, type SqliteOptions } from './database.ts';

let directory: string;
let open: Database[];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'burrow-db-'));
  open = [];
});

afterEach(async () => {
  await Promise.all(open.map((each) => each.close()));
  await rm(directory, { recursive: true, force: true });
});

async function opened(options: Partial<SqliteOptions> = {}): Promise<Database> {
  const db = await openDatabase({ path: join(directory, 'relay.db'), ...options });
  open.push(db);
  return db;
}

function refuses(path: string, code: string, words: RegExp, options = {}): Promise<void> {
  return assert.rejects(openDatabase({ path, ...options }), (error) => {
    assert.ok(error instanceof RelayError, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, words);
    assert.ok(error.message.includes(path), 'names the file');
    return true;
  });
}

describe('a database in a file', () => {
  it('keeps what was written, in files only its owner can read', async () => {
    const path = join(directory, 'data', 'deep', 'relay.db');
    const first = await opened({ path });
    await first.kysely.insertInto('relay_heartbeat').values({ id: 'relay', at: 5 }).execute();
    assert.equal((await stat(join(directory, 'data'))).mode & 0o777, 0o700);
    for (const name of await readdir(join(directory, 'data', 'deep'))) {
      const { mode } = await stat(join(directory, 'data', 'deep', name));
      assert.equal(mode & 0o777, 0o600, name);
    }
    await first.close();
    await first.close();
    const again = await opened({ path });
    assert.deepEqual(await again.kysely.selectFrom('relay_heartbeat').selectAll().execute(), [
      { id: 'relay', at: 5 },
    ]);
  });

  it('stops opening when told to', async () => {
    const reason = new Error('stopped');
    await assert.rejects(opened({ signal: AbortSignal.abort(reason) }), reason);
  });

  it('prints no warning of its own', async () => {
    const script = `import { openDatabase } from ${JSON.stringify(new URL('./database.ts', import.meta.url).href)};
      await (await openDatabase({ path: ':memory:' })).close();`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script]);
    let said = '';
    child.stderr.on('data', (chunk) => (said += chunk));
    const [code] = await once(child, 'close');
    assert.deepEqual([code, said], [0, '']);
  });
});

describe('a database that cannot be used at start says why', () => {
  it('another process holds it', async () => {
    const path = join(directory, 'relay.db');
    const script = `import { openDatabase } from ${JSON.stringify(new URL('./database.ts', import.meta.url).href)};
      await openDatabase({ path: ${JSON.stringify(path)} });
      process.stdout.write('open'); setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      await once(child.stdout, 'data');
      await refuses(path, 'unavailable', /is locked: another relay/, { busyTimeoutMs: 50 });
    } finally {
      child.kill('SIGKILL');
      await once(child, 'close');
    }
    await opened({ path }); // The lock went with the process.
  });

  it('the file is not a database', async () => {
    const path = join(directory, 'relay.db');
    await writeFile(path, 'this is no database at all, '.repeat(100));
    await refuses(path, 'config-invalid', /damaged or is not a Burrow database/);
  });

  it('the file is damaged inside', async () => {
    const path = join(directory, 'relay.db');
    await (await opened({ path })).close();
    const { size } = await stat(path);
    const { open: openFile } = await import('node:fs/promises');
    const file = await openFile(path, 'r+');
    await file.write(Buffer.alloc(size - 4096, 0x5a), 0, size - 4096, 4096);
    await file.close();
    await refuses(path, 'config-invalid', /damaged/);
  });

  it('its directory is a file', async () => {
    await writeFile(join(directory, 'file'), '');
    await refuses(join(directory, 'file', 'relay.db'), 'config-invalid', /cannot be opened/);
  });

  it('its directory is read-only', async () => {
    const locked = join(directory, 'locked');
    await mkdir(locked);
    await chmod(directory, 0o755);
    await chmod(locked, 0o555);
    await asOrdinaryUser(() =>
      refuses(join(locked, 'relay.db'), 'config-invalid', /cannot be opened for writing.*EACCES/),
    );
  });

  it('its disk is full', async () => {
    const path = join(directory, 'relay.db');
    await refuses(path, 'unavailable', /disk is full.*Free some space/, { maxPages: 3 });
    await opened({ path }); // Nothing half made was left behind.
  });

  it('a newer relay wrote it', async () => {
    const path = join(directory, 'relay.db');
    const db = await opened({ path });
    await sql`insert into kysely_migration (name, timestamp) values ('9999-later', 'x')`.execute(
      db.kysely,
    );
    await db.close();
    await refuses(path, 'config-invalid', /newer relay \(it has "9999-later"\)/);
  });
});

/** Root may write anywhere: step down for the length of `task`. */
async function asOrdinaryUser(task: () => Promise<void>): Promise<void> {
  const root = process.geteuid?.() === 0;
  if (root) process.seteuid?.(65_534);
  try {
    await task();
  } finally {
    if (root) process.seteuid?.(0);
  }
}
