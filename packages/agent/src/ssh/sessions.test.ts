// Sessions as people and tools use them, tried with OpenSSH's own programs.
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import ssh2, { type ClientChannel } from 'ssh2';
import { run } from '@burrow/ssh/testing';
import { startServer, type TestServer } from './testing-ssh.ts';

const to = (it: TestServer): string[] => ['-p', String(it.port), 'ann@127.0.0.1'];

async function until(what: string, condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!condition()) {
    if (performance.now() > deadline) assert.fail(`never: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function alive(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return false;
  }
}

/** Resolves once the child has printed something that matches. */
function printed(child: ChildProcess, pattern: RegExp): Promise<RegExpExecArray> {
  return new Promise((resolve, reject) => {
    let all = '';
    child.stdout?.on('data', (chunk) => {
      all += String(chunk);
      const found = pattern.exec(all);
      if (found === null) return;
      clearTimeout(late);
      resolve(found);
    });
    child.once('close', () => reject(new Error(`Ended without ${pattern}: ${all}`)));
    const late = setTimeout(() => child.kill('SIGKILL'), 10_000);
  });
}

test('the server outlives a client that is killed amid output on both streams', async () => {
  await using it = await startServer();
  const child = spawn('ssh', [...it.options, ...to(it), 'yes & yes >&2; wait']);
  child.stderr.resume();
  await printed(child, /y\ny/);
  child.kill('SIGKILL');
  await until('the channel closes', () => it.open === 0);
  assert.equal((await it.ssh(['echo still here'])).stdout, 'still here\n');
});

test('of two sessions on one connection, one is closed: its processes end, the other goes on', async () => {
  await using it = await startServer();
  const client = new ssh2.Client();
  client.connect({
    ...{ host: '127.0.0.1', port: it.port, username: 'ann' },
    privateKey: readFileSync(it.identity),
  });
  await once(client, 'ready');
  const start = async () => {
    const channel = await new Promise<ClientChannel>((resolve, reject) =>
      client.exec('sleep 100 & echo $!; cat', (error, made) =>
        error === undefined ? resolve(made) : reject(error),
      ),
    );
    const [pid] = (await once(channel, 'data')) as [Buffer];
    return { channel, pid: Number(pid) };
  };
  const [cut, kept] = [await start(), await start()];
  cut.channel.close();
  await until('its processes end', () => !alive(cut.pid));
  assert.ok(alive(kept.pid));
  client.destroy();
  await until('its processes end too', () => !alive(kept.pid));
});

test('a reader that has enough ends what writes', async () => {
  await using it = await startServer();
  const { options } = it;
  const ran = await run('bash', [
    '-c',
    `ssh ${options.join(' ')} ${to(it).join(' ')} 'echo $$; exec yes' 2>&1 | head -2`,
  ]);
  const [pid, line] = ran.stdout.split('\n');
  assert.equal(line, 'y');
  await until('it ends', () => !alive(Number(pid)));
  await until('the channel closes', () => it.open === 0);
});

test('a background process: without a terminal ssh waits for its output, and leaves it be otherwise', async () => {
  await using it = await startServer();
  const from = performance.now();
  const waits = await it.ssh(['sleep 1 & echo started']);
  assert.ok(performance.now() - from > 900);
  assert.equal(waits.stdout, 'started\n');
  const leaves = await it.ssh(['sleep 50 >/dev/null 2>&1 & echo $!']);
  const pid = Number(leaves.stdout);
  await until('the channel closes', () => it.open === 0);
  assert.ok(alive(pid));
  process.kill(pid);
});

test('a terminal does not wait for what stays in the background', async () => {
  await using it = await startServer();
  const from = performance.now();
  const ran = await it.ssh(['-tt', 'nohup sleep 20 & echo pid=$!; sleep 0.2; exit 5']);
  assert.ok(performance.now() - from < 8000);
  assert.equal(ran.code, 5, ran.stderr);
  process.kill(Number(/pid=(\d+)/.exec(ran.stdout)?.[1]));
});

test('a login shell: typed into, its size changed, ended by the end of input', async () => {
  await using it = await startServer();
  const child = spawn('ssh', [...it.options, '-tt', ...to(it)], {
    env: { ...process.env, SSH_AUTH_SOCK: '', TERM: 'xterm' },
  });
  child.stdin.write(
    'shopt -q login_shell; echo login=$?; [ "$(tty)" = "$SSH_TTY" ] && echo tty=$?; echo "name=$0 level=$SHLVL"\n',
  );
  await printed(child, /login=0[^]*tty=0[^]*name=-bash level=1/);
  child.stdin.write('exit 9\n');
  const [code] = (await once(child, 'close')) as [number];
  assert.equal(code, 9);
});

test('a command in a terminal knows its name', async () => {
  await using it = await startServer();
  const ran = await run('ssh', [...it.options, '-tt', ...to(it), 'echo "$SSH_TTY"; tty']);
  const [named, real] = ran.stdout.split('\r\n');
  assert.match(real ?? '', /^\/dev\/pts\/\d+$/);
  assert.equal(named, real);
});

test('where no terminal can be made, the session goes on and says so in one line', async () => {
  // It is read when the server's first terminal is made, in a process of its own.
  const { pathname: testing } = new URL('testing-ssh.ts', import.meta.url);
  const program = `
    import { run } from ${JSON.stringify(import.meta.resolve('@burrow/ssh/testing'))};
    import { startServer } from ${JSON.stringify(testing)};
    await using it = await startServer();
    const ran = await run('ssh', [...it.options, '-tt', '-p', String(it.port), 'ann@127.0.0.1', 'cat; exit 3'], { input: 'in' });
    console.log(JSON.stringify(ran));`;
  const ran = await run(process.execPath, ['--input-type=module', '-e', program], {
    env: { BURROW_SSH_PTY: 'none' },
  });
  const session = JSON.parse(ran.stdout) as { code: number; stdout: string; stderr: string };
  assert.equal(session.code, 3);
  assert.equal(session.stdout, 'in');
  assert.match(
    session.stderr,
    /^Terminals are not available here: .* This session goes on without one\.\r?\n/,
  );
});

test('keepalives of the client are answered', async () => {
  await using it = await startServer();
  const ran = await run('ssh', [
    ...it.options,
    ...['-o', 'ServerAliveInterval=1', '-o', 'ServerAliveCountMax=1', ...to(it)],
    'sleep 3.5; echo alive',
  ]);
  assert.equal(ran.stdout, 'alive\n', ran.stderr);
});

test('X11 is refused and the session goes on', async () => {
  await using it = await startServer();
  const ran = await run('ssh', [...it.options, '-X', ...to(it), 'echo on'], {
    env: { DISPLAY: ':77' },
  });
  assert.equal(ran.stdout, 'on\n');
});

test('an app of many megabytes for a slow reader: memory stays where it is', async () => {
  await using it = await startServer();
  const child = spawn('ssh', [...it.options, ...to(it), 'head -c 200000000 /dev/zero']);
  await once(child.stdout, 'readable');
  global.gc?.();
  const before = process.memoryUsage().arrayBuffers;
  await new Promise((resolve) => setTimeout(resolve, 500));
  const grown = process.memoryUsage().arrayBuffers - before;
  assert.ok(grown < 40_000_000, `${grown} bytes wait`);
  child.kill('SIGKILL');
  await until('the channel closes', () => it.open === 0);
});

for (const tool of ['scp', 'scp -O', 'sftp', 'rsync', 'git']) {
  test(`${tool} both ways`, async () => {
    await using it = await startServer();
    const bytes = randomBytes(3 << 20);
    const [local, remote, back] = ['local', 'remote', 'back'].map((name) => join(it.folder, name));
    writeFileSync(local as string, bytes);
    const ssh = `ssh ${it.options.join(' ')} -p ${it.port}`;
    const at = `ann@127.0.0.1:${remote}`;
    const port = ['-P', String(it.port)];
    const commands: Record<string, string[][]> = {
      scp: [
        ['scp', ...it.options, ...port, local as string, at],
        ['scp', ...it.options, ...port, at, back as string],
      ],
      'scp -O': [
        ['scp', '-O', ...it.options, ...port, local as string, at],
        ['scp', '-O', ...it.options, ...port, at, back as string],
      ],
      rsync: [
        ['rsync', '-a', '-e', ssh, local as string, at],
        ['rsync', '-a', '-e', ssh, at, back as string],
      ],
      sftp: [
        [
          'sh',
          '-c',
          `printf 'put ${local} ${remote}\\nget ${remote} ${back}\\n' | sftp ${[...it.options, ...port].join(' ')} -b - ann@127.0.0.1`,
        ],
      ],
      git: [
        [
          'sh',
          '-c',
          `git init -q --bare ${remote} && git init -q ${it.folder}/work && cd ${it.folder}/work && cp ${local} file && git add file && git -c user.name=a -c user.email=a@b commit -qm one && GIT_SSH_COMMAND="${ssh}" git push -q ${at} HEAD:refs/heads/main && GIT_SSH_COMMAND="${ssh}" git clone -q -b main ${at} ${it.folder}/clone && cp ${it.folder}/clone/file ${back}`,
        ],
      ],
    };
    if (tool === 'git') mkdirSync(join(it.folder, 'work'));
    for (const [command = '', ...args] of commands[tool] ?? []) {
      const ran = await run(command, args);
      assert.equal(ran.code, 0, ran.stderr);
    }
    assert.ok(existsSync(back as string));
    const sum = (data: Buffer) => createHash('sha256').update(data).digest('hex');
    assert.equal(sum(readFileSync(back as string)), sum(bytes));
  });
}

test('commands and copies begin in the same folder', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'burrow-begin-'));
  try {
    await using it = await startServer({ directory });
    const local = join(it.folder, 'local');
    writeFileSync(local, 'text');
    const options = [...it.options, '-P', String(it.port)];
    const fine = async (...command: readonly string[]): Promise<void> => {
      const [program = '', ...args] = command;
      const ran = await run(program, args);
      assert.deepEqual([ran.code, ran.stderr], [0, '']);
    };
    await fine('scp', '-q', ...options, local, 'ann@127.0.0.1:by-sftp');
    await fine('scp', '-q', '-O', ...options, local, 'ann@127.0.0.1:by-command');
    assert.equal((await it.ssh(['pwd; ls'])).stdout, `${directory}\nby-command\nby-sftp\n`);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
