// A workload whose root file system is BusyBox, Node and the agent's one file: no bash, no sshd, no user, no Python.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, before, after } from 'node:test';
import { ensureAgentBundle } from '../../../scripts/lib/agent-bundle.ts';
import { busyboxRoot, whyNoBusyboxRoot } from '../../harness/busybox-root.ts';
import { eventually } from '../../harness/eventually.ts';
import { startStand, type Stand } from './support/stand.ts';
import { startTerminal } from './support/terminal.ts';

describe('a workload with BusyBox alone', { skip: whyNoBusyboxRoot() }, () => {
  let stand: Stand;
  const stack = new AsyncDisposableStack();

  before(async () => {
    stand = stack.use(await startStand({ servers: [] }));
    await serve('plain', false);
    await serve('beside', true);
  });
  after(() => stack.disposeAsync());

  async function serve(workspace: string, nodePty: boolean): Promise<void> {
    const { environment } = await stand.burrow.createWorkspace(workspace);
    assert.ok(environment);
    const root = stack.use(await busyboxRoot({ bundle: await ensureAgentBundle(), nodePty }));
    const agent = root.startAgent({
      BURROW_RELAY_URL: `http://127.0.0.1:${stand.burrow.port}`,
      BURROW_AGENT_TOKEN: environment.BURROW_AGENT_TOKEN,
      HOME: '/root',
    });
    await eventually(`the agent of ${workspace} is connected: ${agent.log}`, async () => {
      return (await stand.burrow.showWorkspace(workspace)).state === 'running';
    });
  }

  const ssh = (workspace: string, ...args: readonly string[]) =>
    stand.ssh(['-l', workspace, 'relay', ...args]);

  it('runs commands in its shell, with their exit codes, and nothing outside of it is seen', async () => {
    const ran = await ssh('plain', 'ls /; readlink /bin/sh; exit 7');
    assert.equal(ran.code, 7, ran.stderr);
    assert.deepEqual(ran.stdout.trim().split('\n').sort(), [
      ...['bin', 'busybox', 'dev', 'lib', 'lib64', 'opt', 'proc', 'root', 'tmp'],
    ]);
  });

  it('goes on without a terminal, and says so in one line', async () => {
    const ran = await ssh('plain', '-tt', 'tty; echo works');
    assert.equal(ran.code, 0, ran.stderr);
    assert.match(ran.stdout, /works/);
    const said = `${ran.stdout}${ran.stderr}`.split(/\r?\n/);
    const lines = said.filter((line) => line.includes('Terminals are not available here'));
    assert.equal(lines.length, 1, said.join('\n'));
    assert.match(lines[0]!, /no node-pty that can be loaded, no Python/);
  });

  it('copies files both ways', async () => {
    const data = randomBytes(3_000_000);
    const [file, back] = [join(stand.home, 'file'), join(stand.home, 'back')];
    writeFileSync(file, data);
    const options = ['-F', stand.config, '-o', 'User=plain'];
    const there = await stand.tool('scp', [...options, file, 'relay:/tmp/copy']);
    assert.equal(there.code, 0, there.stderr);
    const here = await stand.tool('scp', [...options, 'relay:/tmp/copy', back]);
    assert.equal(here.code, 0, here.stderr);
    assert.ok(readFileSync(back).equals(data));
  });

  it('leaves no process behind when the client goes', async () => {
    const left = async (): Promise<string> => (await ssh('plain', 'pidof sleep')).stdout.trim();
    const { child, exited } = stand.start('ssh', [
      ...['-F', stand.config, '-l', 'plain', 'relay', 'sleep 4711 & sleep 4711'],
    ]);
    await eventually('they run', async () => (await left()).split(' ').length === 2);
    child.kill('SIGKILL');
    await exited;
    await eventually('they are gone', async () => (await left()) === '');
  });

  it('has terminals with window sizes once a node-pty lies beside the bundle', async () => {
    await using terminal = await startTerminal(stand, `ssh -F ${stand.config} -tt -l beside relay`);
    await terminal.shows('a prompt', /[#$]$/m);
    await terminal.type('stty size', 'Enter');
    await terminal.shows('the size', /^24 80$/m);
    await terminal.resize(100, 30);
    await terminal.type('stty size', 'Enter');
    await terminal.shows('the new size', /^30 100$/m);
  });
});
