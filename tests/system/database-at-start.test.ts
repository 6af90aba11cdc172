// A database that cannot be used at start: a clear sentence, and nothing left running or lost.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test, type TestContext } from 'node:test';
import { configSchema } from '../../packages/relay/src/config/schema.ts';
import { createLogger } from '../../packages/relay/src/observe/logger.ts';
import { createRelay } from '../../packages/relay/src/relay.ts';

function folder(t: TestContext): string {
  const dataDir = mkdtempSync(join(tmpdir(), 'burrow-database-'));
  t.after(() => rmSync(dataDir, { recursive: true, force: true }));
  return dataDir;
}

const configOf = (dataDir: string) =>
  configSchema.parse({
    dataDir,
    listen: { port: 0 },
    ssh: { enabled: false },
    log: { level: 'silent' },
  });

test(
  'a locked database: says who holds it back, and works once it is free',
  { timeout: 60_000 },
  async (t) => {
    const dataDir = folder(t);
    const config = configOf(dataDir);
    const logger = createLogger(config.log);
    const first = await createRelay(config, { logger });
    await first.start();
    const admin = await first.auth.users.ensureLocalAdmin();
    await first.stop(0);

    const other = new DatabaseSync(join(dataDir, 'relay.sqlite'));
    other.exec('BEGIN EXCLUSIVE');
    await assert.rejects(
      async () => {
        const relay = await createRelay(config, { logger });
        t.after(() => relay.stop(0));
        await relay.start();
      },
      (error: Error) => {
        assert.match(error.message, /lock|busy|another process/i);
        return true;
      },
    );
    other.exec('ROLLBACK');
    other.close();

    const again = await createRelay(config, { logger });
    t.after(() => again.stop(0));
    await again.start();
    assert.equal((await again.auth.users.ensureLocalAdmin()).userId, admin.userId);
  },
);

test('a file that is no database is left as it is', { timeout: 30_000 }, async (t) => {
  const dataDir = folder(t);
  const path = join(dataDir, 'relay.sqlite');
  const text = 'my precious notes, by mistake in the wrong place\n'.repeat(100);
  writeFileSync(path, text);
  const config = configOf(dataDir);
  await assert.rejects(createRelay(config, { logger: createLogger(config.log) }), /database/i);
  assert.equal(readFileSync(path, 'utf8'), text);
});
