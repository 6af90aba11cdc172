// The systemd unit, and the steps of the Dockerfile without Docker.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { ROOT } from '../../../scripts/lib/project-node.mjs';
import { cleanEnvironment } from '../../../scripts/lib/npm.mjs';
import { eventually } from '../../harness/eventually.ts';
import { run } from '../../harness/run.ts';

const UNIT = readFileSync(join(ROOT, 'deploy/systemd/burrow-relay.service'), 'utf8');
const DOCKERFILE = readFileSync(join(ROOT, 'deploy/docker/Dockerfile'), 'utf8');

let folder: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'burrow-service-'));
});
after(() => rmSync(folder, { recursive: true, force: true }));

/** The unit as it would be installed, but with a program that is on this machine. */
function installed(): string {
  const file = join(folder, 'burrow-relay.service');
  writeFileSync(file, UNIT.replaceAll('/usr/bin/node', process.execPath));
  return file;
}

test('systemd takes the unit, and grades it as safe', async () => {
  const file = installed();
  const verified = await run('systemd-analyze', ['verify', '--man=no', file]);
  const said = `${verified.stdout}${verified.stderr}`;
  assert.deepEqual(
    said.split('\n').filter((line) => line.includes('burrow')),
    [],
    said,
  );
  // 0 is locked in, 100 may everything. Services commonly have 96.
  const graded = await run('systemd-analyze', [
    'security',
    '--offline=yes',
    '--threshold=20',
    file,
  ]);
  assert.equal(graded.code, 0, graded.stdout);
});

test('the unit’s times fit the relay’s defaults', async () => {
  const { configSchema } = await import('../../../packages/relay/src/config/schema.ts');
  const stop = Number(/^TimeoutStopSec=(\d+)$/m.exec(UNIT)?.[1]);
  assert.ok(stop * 1000 >= configSchema.parse({}).drain.graceMs + 20_000);
  assert.doesNotMatch(UNIT, /^MemoryDenyWriteExecute=(yes|true|1)/m);
});

interface Instruction {
  readonly name: string;
  readonly rest: string;
}

function instructions(): Instruction[] {
  return DOCKERFILE.replaceAll(/^#.*\n/gm, '')
    .replaceAll('\\\n', ' ')
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const [name = '', ...rest] = line.trim().split(/\s+/);
      return { name, rest: rest.join(' ') };
    });
}

test('the image ends as a user without rights, from a stage of its own', () => {
  const all = instructions();
  const stages = all.filter(({ name }) => name === 'FROM');
  assert.equal(stages.length, 2);
  const last = all.slice(all.lastIndexOf(stages[1]!));
  assert.equal(last.find(({ name }) => name === 'USER')?.rest, '10001:10001');
  assert.ok(!last.some(({ name, rest }) => name === 'COPY' && !rest.startsWith('--from=build')));
  assert.ok(all.every(({ name, rest }) => !/secret|password|token/i.test(rest) || name === 'RUN'));
});

test('what the image is built from is enough to run a relay, from files that it cannot change', async (t) => {
  const home = join(folder, 'image');
  mkdirSync(home);
  const build = instructions().slice(1);
  const end = build.findIndex(({ name }) => name === 'FROM');
  for (const { name, rest } of build.slice(0, end)) {
    if (name === 'COPY') {
      const parts = rest.split(' ');
      const to = parts.pop() ?? '';
      for (const from of parts) {
        const target =
          to.endsWith('/') && !from.endsWith('/')
            ? join(home, to, from.split('/').at(-1) ?? '')
            : join(home, to);
        mkdirSync(dirname(target), { recursive: true });
        cpSync(join(ROOT, from), target, {
          recursive: true,
          filter: (path) => !/\/(node_modules|dist|\.burrow)$/.test(path),
        });
      }
    } else if (name === 'RUN') {
      const ran = await run('sh', ['-c', rest], {
        cwd: home,
        // npm's own settings of this machine: where its registry is, say.
        env: cleanEnvironment() as Record<string, string>,
        withinMs: 120_000,
      });
      assert.equal(ran.code, 0, `${rest}: ${ran.stderr}`);
    } else assert.equal(name, 'WORKDIR');
  }
  const dataDir = join(folder, 'data');
  mkdirSync(dataDir);
  if (process.getuid?.() !== 0) chmodSync(home, 0o500);
  const child = spawn(
    process.execPath,
    [join(home, 'scripts/burrow.mjs'), 'relay', '--listen-port', '0', '--ssh-port', '0'],
    {
      cwd: dataDir,
      env: {
        BURROW_RELAY_DATA_DIR: dataDir,
        NODE_ENV: 'production',
        XDG_CACHE_HOME: '/dev/null/none',
      },
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  );
  t.after(() => child.kill('SIGKILL'));
  const exited = once(child, 'exit');
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  await eventually(
    'the relay is ready',
    () => {
      if (child.exitCode !== null) assert.fail(`it ended: ${said}`);
      return said.includes('relay ready');
    },
    60_000,
  ).catch((error: unknown) => {
    throw new Error(`The relay did not start: ${said}`, { cause: error });
  });
  const port = Number(
    /"port":(\d+)/.exec(said.split('\n').find((line) => line.includes('relay ready')) ?? '')?.[1],
  );
  const ready = await fetch(`http://127.0.0.1:${port}/readyz`);
  assert.equal(ready.status, 200);
  const agent = await fetch(`http://127.0.0.1:${port}/burrow-agent.mjs`);
  assert.match(await agent.text(), /^#!\/usr\/bin\/env node\n\/\/ Burrow agent/);
  child.kill('SIGTERM');
  assert.deepEqual(await exited, [0, null], said);
});
