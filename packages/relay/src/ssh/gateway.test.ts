// The gateway with OpenSSH's own client; the workload's server is a stand-in (see testing/).
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { generateHostKey } from '@burrow/ssh';
import { run } from '@burrow/ssh/testing';
import { ANN } from '../clients/testing.ts';
import { baseOptions, startGateway, TOKEN } from './testing/gateway.ts';

test('a command runs in the workload: output, errors, input, exit code, signal', async () => {
  await using it = await startGateway();
  const ran = await it.ssh('demo', ['cat; echo problem >&2; exit 7'], { input: 'some input' });
  assert.deepEqual(ran, { code: 7, stdout: 'some input', stderr: 'problem\n' });
  assert.equal((await it.ssh('demo', ['kill -9 $$'])).code, 255);
  assert.equal(it.channels[0]?.workload, 'demo');
  assert.deepEqual(it.channels[0]?.principal, { userId: 'u-ann', username: 'ann' });
  assert.deepEqual(
    it.events.map(({ action, username, workspace }) => [action, username, workspace]).slice(0, 3),
    [
      ['ssh.sign-in', 'ann', 'demo'],
      ['ssh.session-opened', 'ann', 'demo'],
      ['ssh.session-closed', 'ann', 'demo'],
    ],
  );
});

test('bulk passes whole, both ways, through key exchanges', async () => {
  await using it = await startGateway();
  const bytes = randomBytes(8 << 20);
  const ran = await it.ssh('demo', ['sha256sum'], {
    input: bytes,
    options: ['-o', 'RekeyLimit=1M'],
  });
  const { createHash } = await import('node:crypto');
  assert.equal(ran.stdout.slice(0, 64), createHash('sha256').update(bytes).digest('hex'));
  const down = await it.ssh('demo', ['head -c 8000000 /dev/zero | tr "\\0" x'], {
    options: ['-o', 'RekeyLimit=1M'],
  });
  assert.equal(down.stdout.length, 8_000_000);
});

test('an access token is a password; a wrong one gets the same answer everywhere', async () => {
  await using it = await startGateway();
  const askpass = join(it.folder, 'askpass');
  const password = (user: string, text: string) => {
    writeFileSync(askpass, `#!/bin/sh\necho '${text}'\n`, { mode: 0o700 });
    return run('env', [
      ...[`SSH_ASKPASS=${askpass}`, 'SSH_ASKPASS_REQUIRE=force', 'ssh'],
      ...baseOptions(join(it.folder, 'known_hosts'), undefined, false),
      ...['-o', 'PreferredAuthentications=password', '-o', 'NumberOfPasswordPrompts=1'],
      ...['-p', String(it.port), `${user}@127.0.0.1`, 'echo in'],
    ]);
  };
  assert.equal((await password('demo', TOKEN)).stdout, 'in\n');
  const wrong = await password('demo', 'burrow_pat_wrong');
  const nobody = await password('no-such', 'burrow_pat_wrong');
  assert.equal(wrong.code, 255);
  assert.match(wrong.stderr, /Burrow knows none of your keys\. Add one at https:\/\/burrow\.test/);
  assert.equal(wrong.stderr.replaceAll('demo', ''), nobody.stderr.replaceAll('no-such', ''));
  it.known.attemptsLeft = 0;
  assert.match(
    (await password('demo', TOKEN)).stderr,
    /Too many failed sign-ins from your address\. Try again in 30 s/,
  );
});

test('a link approves a sign-in in the browser', async () => {
  await using it = await startGateway();
  const askpass = join(it.folder, 'askpass');
  writeFileSync(askpass, '#!/bin/sh\necho\n', { mode: 0o700 });
  const attempt = () =>
    run('env', [
      ...[`SSH_ASKPASS=${askpass}`, 'SSH_ASKPASS_REQUIRE=force', 'ssh'],
      ...baseOptions(join(it.folder, 'known_hosts'), undefined, false),
      ...['-o', 'PreferredAuthentications=keyboard-interactive', '-o', 'NumberOfPasswordPrompts=1'],
      ...['-p', String(it.port), `demo@127.0.0.1`, 'echo in'],
    ]);
  it.known.approve = ANN;
  const approved = await attempt();
  assert.equal(approved.stdout, 'in\n', approved.stderr);
  it.known.approve = undefined;
  assert.match((await attempt()).stderr, /not approved in time/);
});

test('an unknown key, and a key whose signature is another’s, do not get in', async () => {
  await using it = await startGateway();
  const other = join(it.folder, 'other');
  writeFileSync(other, generateHostKey().privateKey, { mode: 0o600 });
  const ran = await it.ssh('demo', ['true'], { identity: other });
  assert.equal(ran.code, 255);
  assert.match(ran.stderr, /Permission denied/);
  assert.equal(it.channels.length, 0);
});

for (const [what, change, says] of [
  ['no such workspace', { user: 'nothing' }, /no workspace "nothing" that ann may open/],
  ['a name that none can have', { user: 'Not A Name' }, /no workspace "Not A Name"/],
  ['a stopped workspace', { state: 'stopped' as const }, /demo is stopped\. Start it/],
  ['an absent agent', { hello: false }, /agent of demo is not connected; it has never connected/],
  ['an agent without SSH', { server: 'none' as const }, /offers no SSH/],
  ['another host key', { hostKey: generateHostKey().publicLine }, /does not have the host key/],
] as const) {
  test(`${what}: a sentence in the terminal`, async () => {
    await using it = await startGateway();
    const demo = it.known.routes.get('demo');
    assert.ok(demo && it.known.hello);
    if ('state' in change) it.known.routes.set('demo', { ...demo, state: change.state });
    if ('hello' in change) it.known.hello = undefined;
    if ('server' in change) it.known.hello = { ...it.known.hello, sshServer: 'none' } as never;
    if ('hostKey' in change) {
      it.known.hello = { ...it.known.hello, sshHostKey: change.hostKey } as never;
    }
    const ran = await it.ssh('user' in change ? change.user : 'demo', ['true']);
    assert.equal(ran.code, 255);
    assert.match(ran.stderr, says);
    assert.match(ran.stderr, /Received disconnect/);
  });
}

test('somebody else’s workspace is as if it were not there', async () => {
  await using it = await startGateway();
  const demo = it.known.routes.get('demo');
  assert.ok(demo);
  it.known.routes.set('theirs', { ...demo, name: 'theirs', ownerId: 'u-bob' });
  const theirs = await it.ssh('theirs', ['true']);
  const nobodys = await it.ssh('nobodys', ['true']);
  assert.equal(theirs.stderr.replaceAll('theirs', 'x'), nobodys.stderr.replaceAll('nobodys', 'x'));
});

test('what is taken away ends within a second, and says why', async () => {
  for (const take of [
    (it: Awaited<ReturnType<typeof startGateway>>) => it.known.keys.clear(),
    (it: Awaited<ReturnType<typeof startGateway>>) => it.known.routes.clear(),
  ]) {
    await using it = await startGateway();
    const started = Promise.withResolvers<void>();
    const running = it.ssh('demo', ['echo started; exec sleep 100'], {
      onChild: (child) => child.stdout?.once('data', () => started.resolve()),
    });
    await started.promise;
    const at = performance.now();
    take(it);
    const ran = await running;
    assert.ok(performance.now() - at < 1_000, `${performance.now() - at} ms`);
    assert.equal(ran.code, 255);
    assert.match(ran.stderr, /was removed or has expired|was terminated/);
    assert.ok(it.events.some(({ action }) => action === 'ssh.session-cut'));
  }
});

test('burrow@ says who you are, and jumps end to end', async () => {
  await using it = await startGateway();
  const home = await it.ssh('burrow');
  assert.equal(home.code, 0, home.stderr);
  assert.match(home.stdout, /Hello ann\.[^]*demo {2}running/);
  assert.match((await it.ssh('burrow', ['ls'])).stderr, /runs no commands/);
  const base = baseOptions(join(it.folder, 'known_hosts'), it.identity);
  const proxy = ['ssh', ...base, '-p', String(it.port), '-W', '%h:22', 'burrow@127.0.0.1'].join(
    ' ',
  );
  const jumped = await run('ssh', [
    ...base,
    '-o',
    `ProxyCommand=${proxy}`,
    'ann@demo',
    'echo through',
  ]);
  assert.equal(jumped.stdout, 'through\n', jumped.stderr);
  const target = it.channels.at(-1)?.target;
  assert.deepEqual(target?.kind === 'ssh' && target.authorizedKeys, [...it.known.keys.keys()]);
});

test('a way that is lost is told, also by a jump', async () => {
  await using it = await startGateway();
  const base = baseOptions(join(it.folder, 'known_hosts'), it.identity);
  const proxy = ['ssh', ...base, '-p', String(it.port), '-W', '%h:22', 'burrow@127.0.0.1'];
  const started = (child: ChildProcess): Promise<unknown> => once(child.stdout ?? child, 'data');
  const command = 'echo started; exec sleep 100';
  for (const [code, reason, says] of [
    ['agent-gone', 'no matter', /The connection to demo was lost: its agent is gone\. Connect/],
    ['limit', 'There is no room.', /The connection to demo was lost: There is no room\./],
  ] as const) {
    for (const [host, options] of [
      ['demo@127.0.0.1', ['-p', String(it.port)]],
      ['ann@demo', ['-o', `ProxyCommand=${proxy.join(' ')}`]],
    ] as const) {
      let up: Promise<unknown> | undefined;
      const running = run('ssh', [...base, ...options, host, command], {
        onChild: (child) => (up = started(child)),
      });
      await up;
      it.lose(code, reason);
      const ran = await running;
      assert.equal(ran.code, 255);
      assert.match(ran.stderr, says);
    }
  }
});

test('a thousand half-finished handshakes do not disturb others', async () => {
  await using it = await startGateway();
  const sockets = await Promise.all(
    Array.from({ length: 1_000 }, async (_, i) => {
      const socket = connect({
        port: it.port,
        host: '127.0.0.1',
        localAddress: `127.0.0.${2 + (i % 8)}`,
      });
      socket.on('error', () => {});
      await once(socket, 'connect');
      if (i % 2 === 0) socket.write('SSH-2.0-half\r\n');
      return socket;
    }),
  );
  const at = performance.now();
  const ran = await it.ssh('demo', ['echo in']);
  assert.equal(ran.stdout, 'in\n', ran.stderr);
  assert.ok(performance.now() - at < 5_000);
  for (const socket of sockets) socket.destroy();
});

test('stopping tells everybody, and leaves nothing behind', async () => {
  const it = await startGateway();
  const started = Promise.withResolvers<void>();
  const running = it.ssh('demo', ['echo started; exec sleep 100'], {
    onChild: (child) => child.stdout?.once('data', () => started.resolve()),
  });
  await started.promise;
  await it[Symbol.asyncDispose]();
  assert.match((await running).stderr, /The relay shuts down/);
});

test('garbage ends that connection only', async () => {
  await using it = await startGateway();
  for (const bytes of [
    Buffer.from('GET / HTTP/1.1\r\n\r\n'),
    randomBytes(5_000),
    Buffer.from(`SSH-2.0-x\r\n${'\0'.repeat(40_000)}`),
    Buffer.concat([Buffer.from('SSH-2.0-x\r\n'), Buffer.from('7fffffff', 'hex'), randomBytes(100)]),
  ]) {
    const socket = connect(it.port, '127.0.0.1');
    socket.on('error', () => {}).resume();
    socket.write(bytes);
    await once(socket, 'close', { signal: AbortSignal.timeout(5_000) });
  }
  assert.equal((await it.ssh('demo', ['echo in'])).stdout, 'in\n');
});

test('a thread that fails is started again on the same port', async () => {
  await using it = await startGateway();
  assert.equal((await it.ssh('demo', ['echo one'])).stdout, 'one\n');
  await it.crash();
  const deadline = performance.now() + 10_000;
  let again = '';
  while (again === '' && performance.now() < deadline) {
    again = (await it.ssh('demo', ['echo two'])).stdout;
  }
  assert.equal(again, 'two\n');
  assert.equal(it.errors.length, 1);
});
