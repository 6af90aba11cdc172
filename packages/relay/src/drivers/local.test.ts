import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { RelayError } from '../errors.ts';
import { localDriver } from './local.ts';
import type { Driver } from './driver.ts';

/** Stands for VS Code: answers /version, tells its surroundings, and can be told to end. */
const EDITOR = `
import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
const flag = (name) => process.argv[process.argv.indexOf('--' + name) + 1];
// Like a terminal's shell: a session of its own that ignores hang-ups.
const shell = spawn('sh', ['-c', 'trap "" HUP TERM; sleep 600 & wait'], { detached: true, stdio: 'ignore' });
createServer((request, response) => {
  if (request.url === '/crash') process.exit(3);
  response.end(JSON.stringify({ pid: process.pid, shell: shell.pid, env: process.env, argv: process.argv, folder: flag('default-folder') }));
}).listen(Number(flag('port')), flag('host'));
`;
const AGENT = `
import { writeFileSync } from 'node:fs';
writeFileSync('agent.json', JSON.stringify({ pid: process.pid, relay: process.env.BURROW_RELAY_URL, token: process.env.BURROW_AGENT_TOKEN, argv: process.argv }));
if (process.env.BURROW_AGENT_TOKEN === 'refused') process.exit(4);
setInterval(() => {}, 1000);
`;

interface Told {
  readonly pid: number;
  readonly shell: number;
  readonly env: Record<string, string>;
  readonly argv: string[];
  readonly folder: string;
}

let scratch: string;
let driver: Driver;
const exits: string[] = [];

const request = (agentToken = 'the-token') => ({
  agentToken,
  relayUrl: 'http://127.0.0.1:1',
  env: { VSCODE_PROXY_URI: 'http://{{port}}-demo.localhost:1/' },
  onExit: (reason: string) => exits.push(reason),
});

const options = () => ({
  folder: join(scratch, 'workspaces'),
  editor: join(scratch, 'editor'),
  agent: join(scratch, 'agent.mjs'),
});

async function ask(port: number, path = '/'): Promise<Told> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`);
  return (await response.json()) as Told;
}

function alive(pid: number): boolean {
  try {
    // One that has ended and that nobody has asked about yet is a zombie (Z).
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

/** Polls until true; fails with `what` after 10 s. */
async function eventually(what: string, check: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!(await check())) {
    if (Date.now() > deadline) assert.fail(`not within 10 s: ${what}`);
    await sleep(20);
  }
}

before(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'burrow-local-'));
  await mkdir(join(scratch, 'editor/out'), { recursive: true });
  await writeFile(join(scratch, 'editor/package.json'), '{"type":"module"}');
  await writeFile(join(scratch, 'editor/out/server-main.js'), EDITOR);
  await writeFile(join(scratch, 'agent.mjs'), AGENT);
  driver = localDriver(options());
});

after(async () => {
  await driver.stopAll();
  await rm(scratch, { recursive: true, force: true });
});

const agentFile = (name: string): string => join(scratch, 'workspaces', name, 'agent.json');

async function agentOf(name: string): Promise<{ pid: number; token: string; argv: string[] }> {
  let text = '';
  await eventually('the agent runs', async () => {
    text = await readFile(agentFile(name), 'utf8').catch(() => '');
    return text.endsWith('}');
  });
  return JSON.parse(text) as { pid: number; token: string; argv: string[] };
}

test('editor and agent run, each with what it needs and no more', async () => {
  const workspace = { id: 'w-1', name: 'demo', editorPort: 0 };
  const { editorPort } = await driver.start(workspace, request(), AbortSignal.timeout(20_000));
  const port = editorPort ?? 0;
  const editor = await ask(port);
  const agent = await agentOf('demo');
  assert.equal(editor.env['VSCODE_PROXY_URI'], 'http://{{port}}-demo.localhost:1/');
  assert.equal(editor.folder, join(scratch, 'workspaces/demo/projects'));
  assert.match(await readFile(join(editor.folder, 'README.md'), 'utf8'), /Welcome to demo/);
  assert.equal((await stat(join(scratch, 'workspaces/demo'))).mode & 0o777, 0o700);

  assert.equal(agent.token, 'the-token');
  assert.ok(!JSON.stringify(editor).includes('the-token'), 'the editor does not know the token');
  assert.ok(!agent.argv.join(' ').includes('the-token'), 'the token is in no argv');
  assert.ok(!Object.keys(editor.env).some((name) => name.startsWith('npm_')));

  await driver.stop('w-1');
  for (const pid of [editor.pid, editor.shell, agent.pid]) {
    assert.ok(!alive(pid), `process ${pid} has ended`);
  }
  await driver.stop('w-1');
});

test('the port and the files of a workspace stay; another workspace of that name gets new ones', async () => {
  const first = { id: 'w-2', name: 'stay', editorPort: 0 };
  const { editorPort } = await driver.start(first, request(), AbortSignal.timeout(20_000));
  const projects = join(scratch, 'workspaces/stay/projects');
  await writeFile(join(projects, 'mine.txt'), 'mine');
  await driver.stop('w-2');
  const again = await driver.start(first, request(), AbortSignal.timeout(20_000));
  assert.equal(again.editorPort, editorPort);
  assert.equal(await readFile(join(projects, 'mine.txt'), 'utf8'), 'mine');
  await driver.stop('w-2');

  await driver.start({ ...first, id: 'w-3' }, request(), AbortSignal.timeout(20_000));
  await assert.rejects(stat(join(projects, 'mine.txt')));
  const aside = join(scratch, 'workspaces/.earlier/stay-w-2/projects/mine.txt');
  assert.equal(await readFile(aside, 'utf8'), 'mine');
  await driver.stop('w-3');
});

test('an editor that crashes comes back on its port', async () => {
  const workspace = { id: 'w-4', name: 'crash', editorPort: 0 };
  const { editorPort } = await driver.start(workspace, request(), AbortSignal.timeout(20_000));
  const port = editorPort ?? 0;
  const { pid } = await ask(port);
  await ask(port, '/crash').catch(() => undefined);
  await eventually('another editor process answers', async () => {
    const told = await ask(port).catch(() => undefined);
    return told !== undefined && told.pid !== pid;
  });
  await driver.stop('w-4');
});

test('an agent that is refused for good ends the workload, with the reason', async () => {
  const workspace = { id: 'w-5', name: 'refused', editorPort: 0 };
  const starting = driver.start(workspace, request('refused'), AbortSignal.timeout(20_000));
  // Whichever is first: the editor's answer or the agent's end.
  const error = await starting.then(() => undefined, String);
  if (error === undefined) await eventually('onExit', () => exits.length > 0);
  assert.match(
    error ?? exits.join(),
    /agent of this workspace keeps failing: it ended with code 4/,
  );
});

test('an aborted start leaves nothing running', async () => {
  const stop = new AbortController();
  const workspace = { id: 'w-6', name: 'abort', editorPort: 0 };
  const starting = driver.start(workspace, request(), stop.signal);
  starting.catch(() => undefined);
  const agent = await agentOf('abort');
  stop.abort();
  await starting.then(
    () => driver.stop('w-6'),
    (error: unknown) => assert.ok(error instanceof RelayError),
  );
  assert.ok(!alive(agent.pid));
});

test('a missing editor is told before anything starts', async () => {
  const broken = localDriver({ ...options(), editor: join(scratch, 'nowhere') });
  await assert.rejects(
    broken.start({ id: 'w-7', name: 'none', editorPort: 0 }, request(), AbortSignal.timeout(5_000)),
    /VS Code server is not installed/,
  );
});

test('when the relay is killed, editor, agent and terminals end', async () => {
  const relay = spawn(
    process.execPath,
    [
      '--input-type=module-typescript',
      '--eval',
      `
      import { localDriver } from ${JSON.stringify(fileURLToPath(new URL('./local.ts', import.meta.url)))};
      const started = await localDriver(${JSON.stringify(options())}).start(
        { id: 'w-8', name: 'killed', editorPort: 0 },
        { agentToken: 't', relayUrl: 'http://127.0.0.1:1', env: {}, onExit() {} },
        AbortSignal.timeout(20000));
      console.log(started.editorPort);
      `,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const [line] = (await once(relay.stdout, 'data')) as [Buffer];
  const port = Number(line.toString());
  const editor = await ask(port);
  const agent = await agentOf('killed');
  relay.kill('SIGKILL');
  await eventually('all three have ended', () =>
    [editor.pid, editor.shell, agent.pid].every((pid) => !alive(pid)),
  );
  const closed = connect(port, '127.0.0.1');
  await assert.rejects(once(closed, 'connect'), /ECONNREFUSED/);
});

test('the picture in the welcome text is a valid PNG', async () => {
  const workspace = { id: 'w-9', name: 'picture', editorPort: 0 };
  await driver.start(workspace, request(), AbortSignal.timeout(20_000));
  const path = join(scratch, 'workspaces/picture/projects/images/burrow.png');
  const { stdout } = await promisify(execFile)('python3', [
    '-c',
    'import sys,zlib,struct;d=open(sys.argv[1],"rb").read();i=d.index(b"IDAT");n=struct.unpack(">I",d[i-4:i])[0];print(len(zlib.decompress(d[i+4:i+4+n])))',
    path,
  ]);
  assert.equal(Number(stdout), 160 * (1 + 480 * 3));
  await driver.stop('w-9');
});
