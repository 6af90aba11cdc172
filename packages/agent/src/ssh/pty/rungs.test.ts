import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { terminal } from './testing-pty.ts';
import { PTY_KINDS } from './types.ts';

/** Waits for what happens elsewhere, up to five seconds. */
async function until(what: () => boolean | Promise<boolean>, message: string): Promise<void> {
  for (const end = performance.now() + 5_000; performance.now() < end;) {
    if (await what()) return;
    await delay(20);
  }
  assert.fail(message);
}

const gone = (pid: number): Promise<boolean> =>
  readFile(`/proc/${pid}/stat`, 'latin1').then(
    (text) => text.includes(') Z '),
    () => true,
  );

for (const kind of PTY_KINDS) {
  describe(`a terminal made by ${kind}`, { concurrency: false, timeout: 60_000 }, () => {
    it('is a controlling terminal with the size and TERM asked for', async (t) => {
      const pty = await terminal(
        t,
        kind,
        [
          'sh',
          '-c',
          'stty size; tty; echo "term=$TERM"; echo controlling >/dev/tty; ps -o sid= -p $$; pwd',
        ],
        { cwd: '/usr' },
      );
      await pty.see(/40 100/);
      await pty.see(/\/dev\/pts\/\d+/);
      await pty.see(/term=xterm-256color/);
      await pty.see(/controlling/);
      assert.equal(Number((await pty.see(/\d+/))[0]), pty.pid);
      await pty.see(/\/usr/);
      assert.deepEqual(await pty.exited, { code: 0, signal: null });
      await pty.ended;
    });

    it('reports exit codes, 0 to 255', async (t) => {
      for (const code of [0, 1, 42, 127, 255]) {
        const pty = await terminal(t, kind, ['sh', '-c', `exit ${code}`]);
        assert.deepEqual(await pty.exited, { code, signal: null });
      }
    });

    it('delivers signals and reports deaths by them', async (t) => {
      for (const signal of ['TERM', 'SIGKILL', 'HUP']) {
        const pty = await terminal(t, kind, ['sh', '-c', 'echo ready; exec sleep 100']);
        await pty.see(/ready/);
        pty.kill(signal);
        assert.deepEqual(await pty.exited, { code: null, signal: signal.replace('SIG', '') });
      }
    });

    it('lets Ctrl-C reach the foreground process of a shell with job control', async (t) => {
      const pty = await terminal(t, kind, ['bash', '--norc', '--noprofile', '-i']);
      await pty.see(/\$ /);
      pty.type('sleep 100; echo "status=$?"\r');
      await pty.see(/sleep 100/);
      await until(async () => (await foreground(pty.pid)) === 'sleep', 'no sleep');
      pty.type('\x03');
      await pty.see(/\^C/);
      pty.type('echo "again=$?"\r');
      await pty.see(/again=130/);
      pty.type('sleep 100\r');
      await until(async () => (await foreground(pty.pid)) === 'sleep', 'no sleep');
      pty.type('\x1a');
      await pty.see(/Stopped/);
      pty.type('jobs\r');
      await pty.see(/\[1\]\+ +Stopped +sleep 100/);
      pty.type('fg\r');
      await until(async () => (await foreground(pty.pid)) === 'sleep', 'no sleep');
      pty.type('\x03');
      await pty.see(/\^C/);
      pty.type('exit 3\r');
      assert.equal((await pty.exited).code, 3);
    });

    it('tells the program of a new size', async (t) => {
      const pty = await terminal(t, kind, [
        'bash',
        '-c',
        'trap n=1 WINCH; echo ready; while :; do if [ "$n" ]; then n=; stty size; fi; sleep 0.05; done',
      ]);
      await pty.see(/ready/);
      pty.resize(132, 50);
      await pty.see(/50 132/);
      pty.resize(0, 0);
      pty.resize(81, 26);
      await pty.see(/26 81/);
    });

    it("sets the client's terminal modes", async (t) => {
      const modes = { ECHO: 0, VINTR: 24, ICANON: 1, IXON: 0, ONLCR: 0, VEOF: 255 };
      const pty = await terminal(t, kind, ['sh', '-c', 'stty -a; echo end'], { modes });
      await pty.see(/end/);
      for (const flag of [
        'intr = ^X',
        'eof = <undef>',
        '-ixon',
        '-echo ',
        '-onlcr',
        ' icanon',
        ' iutf8',
        '-ixany',
        'eol = <undef>',
      ]) {
        assert.ok(pty.shown().replaceAll('\n', ' ').includes(flag), `${flag} in ${pty.shown()}`);
      }
    });

    it('makes a login shell when its name begins with a dash', async (t) => {
      const command = { file: 'bash', args: [], argv0: '-bash' };
      const pty = await terminal(t, kind, ['bash'], { command });
      pty.type('shopt -q login_shell && echo "log"in\r');
      await pty.see(/[\r\n]login/);
    });

    it('shows that a command does not exist', async (t) => {
      const pty = await terminal(t, kind, ['/no/such/command']);
      const { code } = await pty.exited;
      assert.notEqual(code, 0);
    });

    it("passes arguments and variables on as they are, and finds programs by the session's PATH", async (t) => {
      const odd = `it's "odd" $HOME \\ Grüße\n*`;
      const pty = await terminal(
        t,
        kind,
        ['env', 'sh', '-c', 'echo "<$1|$ODD|$SHELL>"', 'sh', odd],
        {
          env: { PATH: '/usr/bin:/bin', ODD: odd, SHELL: '/bin/odd' },
        },
      );
      await pty.exited;
      await pty.ended;
      const shown = odd.replace('\n', '\r\n');
      assert.equal(pty.shown(), `<${shown}|${shown}|/bin/odd>\r\n`);
    });

    it('carries UTF-8 both ways', async (t) => {
      const pty = await terminal(t, kind, ['sh', '-c', 'echo ready; read -r line; echo "<$line>"']);
      await pty.see(/ready/);
      pty.type('Grüße, 世界 🐰\r');
      await pty.see(/<Grüße, 世界 🐰>/);
    });

    it('loses nothing of 20 MB, nor of the last bytes for a slow reader', async (t) => {
      const pty = await terminal(t, kind, [
        'sh',
        '-c',
        'stty -onlcr; yes 0123456 | head -c 20000000',
      ]);
      const hash = createHash('sha256');
      let bytes = 0;
      pty.output.on('data', (data: Buffer) => {
        bytes += data.length;
        hash.update(data);
        if (bytes % 7 === 0) {
          pty.output.pause();
          setImmediate(() => pty.output.resume());
        }
      });
      await pty.ended;
      assert.equal(bytes, 20_000_000);
      const expected = createHash('sha256').update('0123456\n'.repeat(2_500_000)).digest('hex');
      assert.equal(hash.digest('hex'), expected);
    });

    it('holds the program back while nobody reads, and keeps its last words', async (t) => {
      const pty = await terminal(t, kind, ['sh', '-c', 'yes | head -c 3000000; printf last']);
      pty.output.pause();
      await delay(300);
      assert.ok(pty.output.readableLength <= 512 * 1024);
      assert.equal(await gone(pty.pid), false);
      // What the kernel holds when the program ends must survive a pause as well.
      let seen = 0;
      pty.output.removeAllListeners('data');
      pty.output.on('data', (data: Buffer) => (seen += data.length));
      let tail = Buffer.alloc(0);
      pty.output.on('data', (data: Buffer) => {
        tail = Buffer.concat([tail, data]).subarray(-4);
        if (seen > 4_400_000) {
          seen = 0;
          pty.output.pause();
          setTimeout(() => pty.output.resume(), 600);
        }
      });
      pty.output.resume();
      await pty.ended;
      assert.equal(tail.toString(), 'last');
    });

    it('bounds what is typed at a program that does not read', async (t) => {
      const pty = await terminal(t, kind, [
        'sh',
        '-c',
        'stty raw -echo; echo ready; sleep 0.3; head -c 4000000 | wc -c; sleep 100',
      ]);
      await pty.see(/ready/);
      const part = Buffer.alloc(40_000, 'x');
      let left = 4_000_000;
      const write = (): boolean => ((left -= part.length), pty.input.write(part));
      while (left > 3_000_000 && write());
      // `script` of util-linux 2.38 itself keeps whatever it cannot pass on.
      if (kind !== 'script') assert.ok(left > 3_000_000, `${4_000_000 - left} bytes were taken`);
      const drained = (): Promise<unknown> =>
        new Promise((resolve) => pty.input.once('drain', resolve));
      if (pty.input.writableNeedDrain) await drained();
      while (left > 0) if (!write() && left > 0) await drained();
      await pty.see(/4000000/);
    });

    it('leaves nothing behind when it hangs up', async (t) => {
      const hangUp = new AbortController();
      const pty = await terminal(t, kind, ['bash', '--norc', '--noprofile', '-i'], {
        signal: hangUp.signal,
      });
      pty.type("sleep 1000 & echo job=$!; (trap '' TERM; exec sleep 1001) & echo job=$!\r");
      const one = Number((await pty.see(/\njob=(\d+)/))[1]);
      const two = Number((await pty.see(/\njob=(\d+)/))[1]);
      hangUp.abort();
      await pty.exited;
      for (const pid of [pty.pid, one, two]) await until(() => gone(pid), `${pid} is still there`);
    });

    it('kills what catches the hang-up, spares what asked to stay', async (t) => {
      const hangUp = new AbortController();
      const script =
        "nohup sleep 1002 >/dev/null 2>&1 & echo job=$! self=$$; trap 'echo no' HUP; while :; do sleep 0.1; done";
      const pty = await terminal(t, kind, ['bash', '-c', script], { signal: hangUp.signal });
      const [, stays = 0, self = 0] = (await pty.see(/job=(\d+) self=(\d+)/)).map(Number);
      await until(
        async () => (await readFile(`/proc/${stays}/cmdline`, 'utf8')).startsWith('sleep'),
        'no sleep',
      );
      hangUp.abort();
      await until(() => gone(self), 'the command is still there');
      assert.equal(await gone(stays), false);
      process.kill(stays, 'SIGKILL');
    });

    it('hangs up when the agent is killed', async (t) => {
      const hangUp = new AbortController();
      t.after(() => hangUp.abort());
      const agent = `
        const { PtyLadder } = await import(${JSON.stringify(new URL('./ladder.ts', import.meta.url).href)});
        const pty = await new PtyLadder('${kind}').start({
          command: { file: 'bash', args: ['--norc', '--noprofile', '-i'] },
          env: { PATH: process.env.PATH }, cwd: '/', term: 'dumb', cols: 80, rows: 24, modes: {},
          signal: new AbortController().signal,
        });
        pty.output.pipe(process.stdout);
        pty.input.write('sleep 1004 & echo job=$!; sleep 1005\\r');
        setInterval(() => {}, 1000);
      `;
      const child = spawn(process.execPath, ['--input-type=module', '-e', agent], {
        stdio: ['ignore', 'pipe', 'inherit'],
        signal: hangUp.signal,
        killSignal: 'SIGKILL',
      });
      child.on('error', () => {});
      let shown = '';
      child.stdout.on('data', (data: Buffer) => (shown += data.toString()));
      await until(() => /[\r\n]job=\d+/.test(shown), 'the shell did not start');
      const job = Number(/[\r\n]job=(\d+)/.exec(shown)?.[1]);
      assert.equal(await gone(job), false);
      child.kill('SIGKILL');
      await until(() => gone(job), 'the job is still there');
    });

    it('refuses to start when the session has ended already', async (t) => {
      await assert.rejects(
        terminal(t, kind, ['sleep', '1003'], { signal: AbortSignal.abort() }),
        /the session has ended/,
      );
    });
  });
}

/** The name of the program in the foreground of a session's terminal. */
async function foreground(pid: number): Promise<string | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'latin1');
  const group = text.slice(text.lastIndexOf(')') + 2).split(' ')[5];
  return (await readFile(`/proc/${group}/comm`, 'utf8').catch(() => undefined))?.trim();
}
