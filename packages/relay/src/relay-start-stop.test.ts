import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { configSchema } from './config/schema.ts';
import { createLogger } from './observe/logger.ts';
import { createRelay } from './relay.ts';

const timers = (): number =>
  process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;

test('a relay that is stopped while it starts leaves nothing running', async (t) => {
  const dataDir = mkdtempSync(join(tmpdir(), 'burrow-relay-'));
  t.after(() => rmSync(dataDir, { recursive: true, force: true }));
  const config = configSchema.parse({
    dataDir,
    listen: { port: 0 },
    ssh: { enabled: false },
    log: { level: 'silent' },
  });
  // At any moment of its start.
  for (const ms of [0, 0, 1, 2, 4, 8]) {
    const before = timers();
    const relay = await createRelay(config, { logger: createLogger(config.log) });
    const starting = relay.start().then(
      () => '',
      (error: Error) => error.message,
    );
    if (ms > 0) await sleep(ms);
    await relay.stop(0);
    const how = await starting;
    assert.match(how, /^$|was stopped while it started/);
    assert.equal(relay.readiness().ready, false);
    assert.ok(timers() <= before, `${timers()} timers, ${before} before`);
  }
});
