// `npm start` in a script: whoever ends npm, ends everything.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT } from '../../scripts/lib/project-node.mjs';
import type { Ready } from '../../scripts/start/ready.ts';
import { eventually } from '../harness/eventually.ts';
import { processesIn } from '../harness/processes.ts';

for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
  test(`${signal} to npm itself leaves nothing running`, { timeout: 60_000 }, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'burrow-npm-'));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const readyFile = join(folder, 'ready.json');
    const args = ['--no-workspace', '--port', '0', '--ssh-port', '0'];
    const npm = spawn(
      'npm',
      ['start', '--', ...args, '--data-dir', join(folder, 'data'), '--ready-file', readyFile],
      { cwd: ROOT, stdio: 'ignore' },
    );
    t.after(() => npm.kill('SIGKILL'));
    const ready = await eventually(
      'it is ready',
      () => JSON.parse(readFileSync(readyFile, 'utf8')) as Ready,
      40_000,
    );
    assert.equal((await fetch(`${ready.api}/openapi.json`)).status, 200);
    assert.ok(processesIn(folder).length > 1);
    npm.kill(signal);
    await once(npm, 'exit');
    await eventually('nothing is left', () => processesIn(folder).length === 0);
  });
}
