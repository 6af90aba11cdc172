// The built-in SSH server, tried with OpenSSH's own client.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { generateHostKey } from '@burrow/ssh';
import { run } from '@burrow/ssh/testing';
import { startServer, type TestServer } from './testing-ssh.ts';

/** A zombie has ended too: nobody may be there to wait for it. */
function alive(pid: string): boolean {
  try {
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid.trim()}/stat`, 'latin1'));
  } catch {
    return false;
  }
}

async function until(what: string, condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!condition()) {
    if (performance.now() > deadline) assert.fail(`never: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

test('a command: input, output, errors, code, folder, environment', async () => {
  await using it = await startServer();
  process.env['BURROW_AGENT_TOKEN'] = 'secret-of-the-agent';
  const ran = await it.ssh(
    ['cat; pwd; echo $BURROW_WORKSPACE; env | grep -c of-the-agent; echo bad >&2; exit 7'],
    {
      input: 'in\n',
    },
  );
  delete process.env['BURROW_AGENT_TOKEN'];
  assert.deepEqual(ran, { code: 7, stdout: `in\n${it.folder}\ndemo\n0\n`, stderr: 'bad\n' });
});

test('exit codes 0 to 255, and death by a signal', async () => {
  await using it = await startServer();
  const control = [
    '-o',
    `ControlPath=${join(it.folder, 'c')}`,
    '-o',
    'ControlMaster=auto',
    '-o',
    'ControlPersist=20',
  ];
  const ssh = (command: string) =>
    run('ssh', [...it.options, ...control, '-p', String(it.port), 'ann@127.0.0.1', command]);
  await ssh('true');
  for (let start = 0; start < 256; start += 16) {
    const codes = Array.from({ length: 16 }, (_, i) => start + i);
    const ran = await Promise.all(codes.map((code) => ssh(`exit ${code}`)));
    assert.deepEqual(
      ran.map(({ code }) => code),
      codes,
    );
  }
  assert.equal((await ssh('kill -TERM $$')).code, 255);
  await run('ssh', [...control, '-O', 'exit', '-p', String(it.port), 'ann@127.0.0.1']);
});

test('half-close: what is piped in arrives whole, and its end too', async () => {
  await using it = await startServer();
  const bytes = randomBytes(6 << 20);
  const file = join(it.folder, 'got');
  const ran = await it.ssh([`cat >${file}; wc -c <${file}`], { input: bytes });
  assert.equal(ran.stdout.trim(), String(bytes.length), ran.stderr);
  const sum = createHash('sha256').update(bytes).digest('hex');
  assert.equal(createHash('sha256').update(readFileSync(file)).digest('hex'), sum);
});

test('keys are exchanged anew in the middle, both ways', async () => {
  await using it = await startServer();
  const bytes = randomBytes(8 << 20);
  const options = [...it.options, '-o', 'RekeyLimit=1M', '-p', String(it.port), 'ann@127.0.0.1'];
  const ran = await run('ssh', [...options, 'sha256sum'], { input: bytes });
  assert.equal(ran.stdout.slice(0, 64), createHash('sha256').update(bytes).digest('hex'));
  const down = await run('ssh', [...options, 'head -c 8000000 /dev/zero | tr "\\0" x']);
  assert.equal(down.stdout.length, 8_000_000);
});

test('variables: harmless ones pass, others do not', async () => {
  await using it = await startServer();
  const ran = await run('ssh', [
    ...it.options,
    ...['-o', 'SetEnv=LC_ALL=C.UTF-8 LD_PRELOAD=/x.so GIT_PROTOCOL=version=2'],
    ...['-p', String(it.port), 'ann@127.0.0.1', 'echo $LC_ALL-$LD_PRELOAD-$GIT_PROTOCOL'],
  ]);
  assert.equal(ran.stdout, 'C.UTF-8--version=2\n');
});

test('another key, a password, or nothing: not let in', async () => {
  await using it = await startServer();
  const other = join(it.folder, 'other');
  writeFileSync(other, generateHostKey().privateKey, { mode: 0o600 });
  const options = it.options.map((each) => (each === it.identity ? other : each));
  const ran = await run('ssh', [...options, '-p', String(it.port), 'ann@127.0.0.1', 'true']);
  assert.equal(ran.code, 255);
  assert.match(ran.stderr, /Permission denied \(publickey\)/);
  assert.ok(it.events.some(({ event }) => event === 'ssh-refused'));
});

test('a client that is killed leaves no process behind, but what asked to stay', async () => {
  await using it = await startServer();
  const pids = join(it.folder, 'pids');
  const stayed = join(it.folder, 'stayed');
  const immune = join(it.folder, 'immune');
  const ready = Promise.withResolvers<void>();
  const running = it.ssh(
    [
      `nohup sh -c 'echo >${immune}; exec sleep 60' >/dev/null 2>&1 & echo $! >${stayed}; sleep 61 & echo $! >${pids}; echo $$ >>${pids}; until [ -e ${immune} ]; do sleep 0.02; done; echo ready; wait`,
    ],
    {
      onChild: (child) =>
        child.stdout?.once('data', () => {
          ready.resolve();
          child.kill('SIGKILL');
        }),
    },
  );
  await ready.promise;
  await running;
  const [child = '', shell = ''] = readFileSync(pids, 'utf8').split('\n');
  await until('the session’s processes end', () => !alive(child) && !alive(shell));
  const daemon = readFileSync(stayed, 'utf8').trim();
  assert.ok(alive(daemon), 'nohup keeps its process');
  process.kill(Number(daemon));
  await until('the channel closes', () => it.open === 0);
});

test('a hundred sessions on one connection, and on a hundred', async () => {
  await using it = await startServer();
  const control = ['-o', `ControlPath=${join(it.folder, 'c')}`];
  const address = ['-p', String(it.port), 'ann@127.0.0.1'];
  await run('ssh', [...it.options, ...control, '-o', 'ControlMaster=yes', '-f', '-N', ...address]);
  const many = await Promise.all(
    Array.from({ length: 100 }, (_, i) =>
      run('ssh', [...it.options, ...control, ...address, `sleep 0.3; echo ${i}`]),
    ),
  );
  assert.deepEqual(
    many.map(({ stdout }) => stdout),
    Array.from({ length: 100 }, (_, i) => `${i}\n`),
  );
  assert.equal(it.open, 1);
  await run('ssh', [...control, '-O', 'exit', ...address]);
  const each = await Promise.all(Array.from({ length: 100 }, (_, i) => it.ssh([`echo ${i}`])));
  assert.deepEqual(
    each.map(({ stdout }) => stdout),
    Array.from({ length: 100 }, (_, i) => `${i}\n`),
  );
  await until('all channels close', () => it.open === 0);
});

async function echoServer() {
  const server = createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(() => resolve())),
  };
}

async function freePort(): Promise<number> {
  await using server = await echoServer();
  return server.port;
}

/** Runs `ssh … -N` with forwards until `use` is done. */
async function forwarding(it: TestServer, args: readonly string[], use: () => Promise<void>) {
  const ready = Promise.withResolvers<void>();
  let stop = (): void => {};
  const running = run(
    'ssh',
    [
      ...it.options,
      '-v',
      '-o',
      'ExitOnForwardFailure=yes',
      ...args,
      '-p',
      String(it.port),
      'ann@127.0.0.1',
      'echo up; cat',
    ],
    {
      onChild: (child) => {
        stop = () => child.kill();
        child.stdout?.once('data', () => ready.resolve());
        child.stdin?.cork();
        Object.assign(child.stdin as object, { end: () => {} });
      },
    },
  );
  await Promise.race([ready.promise, running.then(({ stderr }) => assert.fail(stderr))]);
  try {
    await use();
  } finally {
    stop();
    await running;
  }
}

test('ports both ways: -L, -R, -D', async () => {
  await using it = await startServer();
  await using echo = await echoServer();
  const [local, remote, socks] = [await freePort(), await freePort(), await freePort()];
  await forwarding(
    it,
    [
      ...['-L', `${local}:127.0.0.1:${echo.port}`],
      ...['-R', `${remote}:127.0.0.1:${echo.port}`, '-D', String(socks)],
    ],
    async () => {
      for (const port of [local, remote]) {
        const { stdout } = await run('bash', [
          '-c',
          `exec 3<>/dev/tcp/127.0.0.1/${port}; echo hello >&3; head -1 <&3`,
        ]);
        assert.equal(stdout, 'hello\n', `port ${port}`);
      }
      const ran = await run('curl', [
        '-s',
        '--max-time',
        '1',
        '--http0.9',
        '--socks5-hostname',
        `127.0.0.1:${socks}`,
        `http://localhost:${echo.port}/x`,
      ]);
      assert.match(ran.stdout, /GET \/x HTTP/);
    },
  );
});

test('unix sockets both ways, gone afterwards', async () => {
  await using it = await startServer();
  await using echo = await echoServer();
  const there = join(it.folder, 'there.sock');
  const here = join(it.folder, 'here.sock');
  await forwarding(
    it,
    ['-R', `${there}:127.0.0.1:${echo.port}`, '-L', `${here}:${there}`],
    async () => {
      const ran = await run('curl', [
        '-s',
        '--max-time',
        '1',
        '--http0.9',
        '--unix-socket',
        here,
        'http://localhost/through',
      ]);
      assert.match(ran.stdout, /GET \/through HTTP/);
    },
  );
  await until('the socket file goes', () => !existsSync(there));
});

test('a port that is not allowed is refused', async () => {
  await using it = await startServer({
    policy: { mayReach: () => false, mayReachPath: () => false, anywhere: false },
  });
  const ran = await run('ssh', [
    ...it.options,
    '-W',
    '127.0.0.1:22',
    '-p',
    String(it.port),
    'ann@127.0.0.1',
  ]);
  assert.match(ran.stderr, /open failed|forwarding failed/i);
});

test('the client’s SSH agent answers inside', async () => {
  await using it = await startServer();
  const socket = join(it.folder, 'agent.sock');
  const output = execFileSync('ssh-agent', ['-a', socket]).toString();
  try {
    execFileSync('ssh-add', ['-q', it.identity], {
      env: { ...process.env, SSH_AUTH_SOCK: socket },
    });
    const ran = await run(
      'ssh',
      [
        ...it.options,
        '-A',
        '-p',
        String(it.port),
        'ann@127.0.0.1',
        'ssh-add -l; echo $SSH_AUTH_SOCK',
      ],
      {
        env: { SSH_AUTH_SOCK: socket },
      },
    );
    assert.match(ran.stdout, /256 SHA256:/, ran.stderr);
    const inside = ran.stdout.trim().split('\n').at(-1) ?? '';
    await until('its socket goes', () => !existsSync(inside));
  } finally {
    process.kill(Number(/SSH_AGENT_PID=(\d+)/.exec(output)?.[1]));
  }
});

test('-J through itself', async () => {
  await using it = await startServer();
  const proxy = ['ssh', ...it.options, '-p', String(it.port), '-W', '%h:22', 'ann@127.0.0.1'].join(
    ' ',
  );
  const ran = await run('ssh', [
    ...it.options,
    '-o',
    `ProxyCommand=${proxy}`,
    'ann@demo',
    'echo inner',
  ]);
  assert.equal(ran.stdout, 'inner\n', ran.stderr);
});

test('a terminal: size, its change, and its name', async () => {
  await using it = await startServer();
  const ran = await run(
    'ssh',
    [
      ...it.options,
      '-tt',
      '-p',
      String(it.port),
      'ann@127.0.0.1',
      'tty; stty size; echo $TERM; exit 3',
    ],
    {
      env: { TERM: 'xterm-256color' },
    },
  );
  assert.equal(ran.code, 3, ran.stderr);
  assert.match(ran.stdout, /\/dev\/pts\/\d+\r\n\d+ \d+\r\nxterm-256color\r\n/);
});
