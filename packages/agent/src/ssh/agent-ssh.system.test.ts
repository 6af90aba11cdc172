// The built agent, one file, answering SSH over a real link.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { generateHostKey } from '@burrow/ssh';
import type { HelloInfo, Link } from '@burrow/tunnel';
import { channelToDuplex } from '@burrow/tunnel/node';
import ssh2 from 'ssh2';
import {
  buildBundle,
  first,
  oldest,
  startAgent,
  startRelay,
  TOKEN,
  type Relay,
  type Running,
} from '../testing-system.ts';
import { run } from '@burrow/ssh/testing';

buildBundle();

interface Stand {
  readonly agent: Running;
  readonly relay: Relay;
  readonly folder: string;
  readonly port: number;
  hello(): HelloInfo;
  ssh(...args: string[]): ReturnType<typeof run>;
}

/** An agent, its link, and a port that leads into its SSH. */
async function stand(
  t: TestContext,
  node: string,
  more: NodeJS.ProcessEnv = {},
  args: string[] = [],
): Promise<Stand> {
  const folder = mkdtempSync(join(tmpdir(), 'burrow-agent-ssh-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const relay = await startRelay(t);
  const env = { HOME: folder, SHELL: '/bin/sh', ...more };
  const agent = startAgent(t, relay.port, { node, args, env });
  await relay.linked(1);
  const key = generateHostKey();
  writeFileSync(join(folder, 'id'), key.privateKey, { mode: 0o600 });
  const front = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    const stream = channelToDuplex(open(first(relay), key.fingerprint));
    stream.on('error', () => socket.destroy()).on('close', () => socket.destroy());
    socket.on('error', () => stream.destroy()).on('close', () => stream.destroy());
    socket.pipe(stream).pipe(socket);
  }).listen(0, '127.0.0.1');
  await once(front, 'listening');
  t.after(() => front.close());
  const { port } = front.address() as AddressInfo;
  const hello = () => relay.hellos[0] ?? assert.fail('no hello');
  return {
    agent,
    relay,
    folder,
    port,
    hello,
    ssh: (...ssh) => {
      const known = join(folder, 'known');
      writeFileSync(known, `[127.0.0.1]:${port} ${hello().sshHostKey}\n`);
      return run('ssh', [
        ...['-F', 'none', '-i', join(folder, 'id'), '-o', `UserKnownHostsFile=${known}`],
        ...['-o', 'StrictHostKeyChecking=yes', '-o', 'BatchMode=yes', '-p', String(port)],
        ...ssh,
      ]);
    },
  };
}

function open(link: Link, fingerprint: string) {
  return link.open(
    {
      target: { kind: 'ssh', authorizedKeys: [fingerprint] },
      principal: { userId: 'u1', username: 'alice' },
    },
    { onData() {}, onEnd() {}, onClose() {} },
  );
}

const nodes = [
  { what: 'this Node', node: process.execPath, skip: false as const },
  {
    what: 'the oldest Node',
    node: oldest,
    skip: existsSync(oldest) ? (false as const) : 'name one by BURROW_TEST_NODE20',
  },
];

for (const { what, node, skip } of nodes) {
  test(`built in, on ${what}: commands, terminals, files; its key stays`, { skip }, async (t) => {
    const first = await stand(t, node, { BURROW_UNRELATED: 'kept' });
    assert.equal(first.hello().sshServer, 'built-in');
    assert.match(first.hello().sshHostKey, /^ssh-ed25519 \S+$/);
    const ran = await first.ssh('x@127.0.0.1', 'pwd; env; cat /dev/null; exit 3');
    assert.equal(ran.code, 3, ran.stderr);
    assert.ok(ran.stdout.startsWith(`${first.folder}\n`));
    assert.match(ran.stdout, /^BURROW_WORKSPACE=demo$/m);
    assert.ok(!ran.stdout.includes(TOKEN), 'the token is in the environment of a session');
    const tty = await first.ssh('-tt', 'x@127.0.0.1', 'tty; exit 4');
    assert.equal(tty.code, 4, tty.stderr);
    assert.match(tty.stdout, /\/dev\/pts\/\d+/);
    const options = ['-F', 'none', '-i', join(first.folder, 'id'), '-P', String(first.port)];
    const known = `UserKnownHostsFile=${join(first.folder, 'known')}`;
    const copied = await run('scp', [
      ...[...options, '-o', known, '-o', 'BatchMode=yes'],
      ...[join(first.folder, 'id'), `x@127.0.0.1:${first.folder}/copy`],
    ]);
    assert.equal(copied.code, 0, copied.stderr);
    assert.equal(
      readFileSync(join(first.folder, 'copy'), 'utf8'),
      readFileSync(join(first.folder, 'id'), 'utf8'),
    );

    const file = join(first.folder, '.local/state/burrow/ssh_host_ed25519_key');
    assert.equal(statSync(file).mode & 0o777, 0o600);
    const second = await stand(t, node, { BURROW_AGENT_SSH_HOST_KEY_FILE: file });
    assert.equal(second.hello().sshHostKey, first.hello().sshHostKey);
  });
}

test('a session that is opened and closed without a command harms nothing', async (t) => {
  const it = await stand(t, process.execPath);
  const client = new ssh2.Client();
  client.connect({
    ...{ host: '127.0.0.1', port: it.port, username: 'x' },
    privateKey: readFileSync(join(it.folder, 'id')),
  });
  await once(client, 'ready');
  // ssh2's private parts: its public ones start a command with each session.
  const { _chanMgr: channels, _protocol: protocol } = client as unknown as {
    _chanMgr: { add(opened: unknown): number };
    _protocol: {
      session(channel: number, window: number, packet: number): void;
      channelClose(channel: number): void;
    };
  };
  const opened = new Promise<{ outgoing: { id: number } }>((resolve) => {
    const done = (_error: unknown, channel: { outgoing: { id: number } }): void => resolve(channel);
    protocol.session(channels.add(Object.assign(done, { type: 'session' })), 2 ** 20, 2 ** 15);
  });
  protocol.channelClose((await opened).outgoing.id);
  const again = await it.ssh('x@127.0.0.1', 'echo on');
  assert.equal(again.stdout, 'on\n', again.stderr);
  client.end();
  await once(client, 'close');
});

test('an agent that is told to stop hangs up on its sessions first', async (t) => {
  const it = await stand(t, process.execPath, {}, ['--drain-timeout', '0']);
  const file = join(it.folder, 'pid');
  const session = it.ssh('x@127.0.0.1', `sleep 100 & echo $! >${file}; wait`);
  while (!existsSync(file) || readFileSync(file, 'utf8') === '') await delay(20);
  const pid = Number(readFileSync(file, 'utf8'));
  it.agent.child.kill('SIGTERM');
  assert.equal(await it.agent.exited, 0);
  const ran = await session;
  assert.equal(ran.code, 255);
  // It has been sent SIGHUP: init may take a moment to collect it.
  const ended = () => !/^\d+ \(sleep\) [^Z]/.test(statOf(pid));
  for (let i = 0; i < 100 && !ended(); i++) await delay(20);
  assert.ok(ended(), 'a process of the session is left');
});

function statOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return '';
  }
}

test('off: the relay is told so, and a channel is refused', async (t) => {
  const it = await stand(t, process.execPath, {}, ['--ssh', 'off']);
  assert.equal(it.hello().sshServer, 'none');
  assert.equal(it.hello().sshHostKey, '');
  const stream = channelToDuplex(open(first(it.relay), generateHostKey().fingerprint));
  const [error] = (await once(stream, 'error')) as [Error];
  assert.match(error.message, /BURROW_AGENT_SSH is off/);
});

test('sshd: its host key is learnt from the port or a file, and it answers', async (t) => {
  if (!existsSync('/usr/sbin/sshd') || process.getuid?.() !== 0)
    return t.skip('needs sshd and root');
  const folder = mkdtempSync(join(tmpdir(), 'burrow-sshd-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const key = generateHostKey();
  writeFileSync(join(folder, 'host'), key.privateKey, { mode: 0o600 });
  writeFileSync(join(folder, 'host.pub'), `${key.publicLine} made for a test\n`);
  execFileSync('mkdir', ['-p', '/run/sshd']);
  const spare = createServer().listen(0, '127.0.0.1');
  await once(spare, 'listening');
  const { port } = spare.address() as AddressInfo;
  spare.close();
  await once(spare, 'close');
  const sshd = spawn(
    '/usr/sbin/sshd',
    [
      ...['-D', '-e', '-f', '/dev/null', '-p', String(port), '-h', join(folder, 'host')],
      ...['-o', 'ListenAddress=127.0.0.1', '-o', 'UsePAM=no', '-o', 'StrictModes=no'],
      ...['-o', 'PidFile=none', '-o', `AuthorizedKeysFile=${folder}/keys`],
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  t.after(() => sshd.kill());
  await once(sshd.stderr, 'data');
  const env = { BURROW_AGENT_SSH: 'sshd', BURROW_AGENT_SSHD_PORT: String(port) };
  const it = await stand(t, process.execPath, env);
  assert.deepEqual(
    [it.hello().sshServer, it.hello().sshUser, it.hello().sshHostKey],
    ['sshd', userInfo().username, key.publicLine],
  );
  execFileSync('sh', ['-c', `ssh-keygen -y -f ${it.folder}/id >${folder}/keys`]);
  const ran = await it.ssh(`${userInfo().username}@127.0.0.1`, 'echo by sshd');
  assert.equal(ran.stdout, 'by sshd\n', ran.stderr);
  const named = await stand(t, process.execPath, {
    ...env,
    BURROW_AGENT_SSH_HOST_KEY_FILE: join(folder, 'host.pub'),
    BURROW_AGENT_SSHD_USER: 'somebody',
  });
  assert.equal(named.hello().sshHostKey, key.publicLine);
  assert.equal(named.hello().sshUser, 'somebody');
});

test('where no key can be kept: one for this run, and a warning that says what to set', async (t) => {
  const relay = await startRelay(t);
  const agent = startAgent(t, relay.port, {
    env: { HOME: '/dev/null', BURROW_AGENT_SSH_HOST_KEY_FILE: '/dev/null/key' },
  });
  const warning = await agent.event('ssh');
  assert.match(String(warning.message), /Set BURROW_AGENT_SSH_HOST_KEY_FILE/);
  await relay.linked(1);
  assert.match(relay.hellos[0]?.sshHostKey ?? '', /^ssh-ed25519 /);
});
