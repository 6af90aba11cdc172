// A workload of one's own, with nothing but the command line, curl and Node: what `burrow create` prints is run as it is.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, before, test, type TestContext } from 'node:test';
import type { CreatedWorkspace } from '@burrow/api';
import { ROOT } from '../../scripts/lib/project-node.mjs';
import { startBurrow, type Burrow } from '../harness/burrow.ts';
import { eventually } from '../harness/eventually.ts';
import { run, type Ran, type RunOptions } from '../harness/run.ts';

let burrow: Burrow;
let folder: string;

before(async () => {
  burrow = await startBurrow();
  folder = mkdtempSync(join(tmpdir(), 'burrow-create-'));
});
after(async () => {
  await burrow?.stop();
  rmSync(folder, { recursive: true, force: true });
});

function cli(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  return run(process.execPath, [join(ROOT, 'scripts/burrow.mjs'), ...args], {
    ...options,
    cwd: folder,
    env: {
      HOME: folder,
      XDG_CACHE_HOME: join(tmpdir(), 'burrow-test-cache'),
      BURROW_URL: burrow.url,
      BURROW_TOKEN: burrow.token,
    },
  });
}

/** The indented lines up to the first that is not, as a person pastes them. */
async function paste(t: TestContext, said: string): Promise<void> {
  const lines = said.split('\n').slice(2);
  const commands = lines.slice(0, lines.indexOf('')).map((line) => line.trim());
  const shell = spawn('bash', ['-ec', commands.join('\n').replace(/^node /m, 'exec node ')], {
    cwd: folder,
    env: { PATH: process.env['PATH'] ?? '', HOME: folder },
    stdio: 'ignore',
  });
  t.after(async () => {
    shell.kill('SIGTERM');
    if (shell.exitCode === null && shell.signalCode === null) await once(shell, 'exit');
  });
}

async function running(name: string): Promise<void> {
  await eventually(`${name} is running`, async () => {
    return (await burrow.showWorkspace(name)).state === 'running';
  });
}

test('what it prints starts the workspace', async (t) => {
  const made = await cli(['create', 'web']);
  assert.equal(made.code, 0, made.stderr);
  assert.match(made.stderr, /The token is shown once/);
  await paste(t, made.stdout);
  await running('web');
});

test('with --write-env the token is in a file of one’s own, and on no screen', async (t) => {
  const made = await cli(['create', 'quiet', '--write-env', 'quiet.env']);
  assert.equal(made.code, 0, made.stderr);
  assert.doesNotMatch(made.stdout + made.stderr, /burrow_agt_/);
  const file = join(folder, 'quiet.env');
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.match(readFileSync(file, 'utf8'), /^BURROW_AGENT_TOKEN=burrow_agt_/m);
  await paste(t, made.stdout);
  await running('quiet');

  const before = readFileSync(file, 'utf8');
  const again = await cli(['create', 'other', '--write-env', 'quiet.env']);
  assert.equal(again.code, 2);
  assert.match(again.stderr, /quiet.env exists already/);
  assert.equal(readFileSync(file, 'utf8'), before);
  const taken = await cli(['create', 'quiet', '--write-env', 'taken.env']);
  assert.equal(taken.code, 1);
  assert.equal(existsSync(join(folder, 'taken.env')), false);
});

test('for scripts it gives what the API gives', async () => {
  const made = await cli(['create', '--json']);
  const { name, environment } = JSON.parse(made.stdout) as CreatedWorkspace;
  assert.match(name, /^[a-z]+-[a-z]+-[a-z]+/);
  assert.match(environment?.BURROW_AGENT_TOKEN ?? '', /^burrow_agt_/);
});

test('the agent’s file is the one that was built, and is not sent twice', async () => {
  const first = await burrow.sendAnonymously('/burrow-agent.mjs');
  assert.equal(first.status, 200);
  assert.deepEqual(first.body, readFileSync(join(ROOT, 'dist/burrow-agent.mjs')));
  const etag = `"${createHash('sha256').update(first.body).digest('hex')}"`;
  assert.equal(first.headers.etag, etag);
  const again = await burrow.sendAnonymously('/burrow-agent.mjs', {
    headers: { 'if-none-match': etag },
  });
  assert.deepEqual([again.status, again.body.length], [304, 0]);
});

test('what is wrong is said, and makes nothing', async () => {
  const taken = await cli(['create', 'web']);
  assert.equal(taken.code, 1);
  assert.match(taken.stderr, /^burrow: A workspace named "web" exists already/);
  const odd = await cli(['create', 'Web!']);
  assert.equal(odd.code, 2);
  assert.match(odd.stderr, /^burrow: The name must be 1 to 34 lower-case letters/);
  const nowhere = await cli(['create', 'lost', '--write-env', 'no/such/folder/env']);
  assert.equal(nowhere.code, 1);
  assert.equal((await cli(['terminate', 'lost', '--yes'])).code, 4);
});

test('terminate asks, unless it is told not to', async () => {
  const asked = await cli(['terminate', 'web']);
  assert.equal(asked.code, 2);
  assert.match(asked.stderr, /^burrow: Nobody can be asked here: say `burrow terminate web --yes`/);
  const ended = await cli(['terminate', 'web', '--yes']);
  assert.equal(ended.code, 0, ended.stderr);
  assert.equal((await burrow.send('/api/v1/workspaces/web')).status, 404);
  assert.ok(existsSync(join(folder, 'burrow-agent.mjs')));
});
