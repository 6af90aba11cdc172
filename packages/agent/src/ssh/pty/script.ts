import { spawn } from 'node:child_process';
import { withPipes } from '../with-pipes.ts';
import { helperPty } from './helper-pty.ts';
import { signalNumber, type Reports } from './control-lines.ts';
import { cleanEnv, withoutArgv0 } from './login-name.ts';
import { outputOf, runs } from './run.ts';
import { sttyCommand } from './terminal-modes.ts';
import type { Pty, PtyExit, PtyOptions, Rung } from './types.ts';

/**
 * Runs inside the terminal, as the leader of its session, for any POSIX shell.
 * It outlives the signals that reach the command's process group, to report
 * the end; a handler, unlike an ignored signal, is not passed on to the command.
 * Not SIGHUP: a leader that ends by it hangs up on all the terminal's programs.
 * When the agent dies, all of the session is told, and `script`, its parent, dies.
 */
const INSIDE = `
if [ -n "\${BURROW_PTY_SHELL+x}" ]; then SHELL=$BURROW_PTY_SHELL; unset BURROW_PTY_SHELL; else unset SHELL; fi
trap : INT QUIT TERM USR1 USR2 ALRM PIPE
echo "tty $(tty)" >&3
SETTINGS
(
  read -r never <&3
  trap '' HUP
  for process in /proc/[0-9]*; do
    read -r stat <"$process/stat" && set -- \${stat##*) } && [ "$4" = $$ ] && kill -HUP "\${process#/proc/}"
  done 2>/dev/null
  kill -KILL $PPID
) &
watch=$!
echo "pid $$" >&3
"$@" 3>&-
status=$?
kill $watch
echo "exit $status" >&3
`;

const PROBE_MARK = 'a terminal';

/** The third rung: `script` of util-linux or BusyBox, with `stty` for modes and size. */
export async function findScript(signal: AbortSignal): Promise<Rung | string> {
  const probe = ['-q', '-c', `test -t 0 && echo ${PROBE_MARK}`, '/dev/null'];
  const env = { ...process.env, SHELL: '/bin/sh' };
  // By its path: the session's own PATH need not lead to it.
  const file = (await outputOf('/bin/sh', ['-c', 'command -v script'], signal))?.trim();
  const works =
    file?.startsWith('/') === true &&
    (await outputOf(file, probe, signal, env))?.includes(PROBE_MARK) === true;
  if (!works) return 'no `script` that can open a terminal';
  return { kind: 'script', start: (options) => start(file, options) };
}

function start(script: string, options: PtyOptions): Promise<Pty> {
  const { rows, cols, modes } = options;
  const command = withoutArgv0(options.command);
  const size = [
    ['rows', String(rows)],
    ['cols', String(cols)],
  ];
  const inside = INSIDE.replace('SETTINGS', () => sttyCommand(modes, size));
  const line = ['exec', '/bin/sh', '-c', inside, 'sh', command.file, ...command.args];
  const env = cleanEnv(options.env, options.term);
  if (env['SHELL'] !== undefined) env['BURROW_PTY_SHELL'] = env['SHELL'];
  env['SHELL'] = '/bin/sh';
  const spawned = spawn(script, ['-q', '-c', line.map(quote).join(' '), '/dev/null'], {
    cwd: options.cwd,
    env,
    stdio: ['pipe', 'pipe', 'ignore', 'pipe'],
    detached: true,
  });
  const helper = withPipes(spawned, script);
  return helperPty({
    kind: 'script',
    helper,
    signal: options.signal,
    resize: sizeSetter(options.signal),
    exit: exitOf,
  });
}

/**
 * A shell tells of a death by signal as 128 and its number, which a command
 * may as well have returned itself; it is taken for a death when that very
 * signal was sent.
 */
function exitOf(exit: PtyExit, sent: NodeJS.Signals | undefined): PtyExit {
  const number = sent === undefined ? undefined : signalNumber(sent);
  if (sent === undefined || number === undefined || exit.code !== 128 + number) return exit;
  return { code: null, signal: sent.slice(3) };
}

/** Sets sizes one after the other; of those that come meanwhile only the last counts. */
function sizeSetter(signal: AbortSignal): (cols: number, rows: number, reports: Reports) => void {
  let busy = false;
  let next: readonly [number, number, string] | undefined;
  const work = async (): Promise<void> => {
    busy = true;
    while (next !== undefined && !signal.aborted) {
      const [cols, rows, tty] = next;
      next = undefined;
      const size = ['rows', String(rows), 'cols', String(cols)];
      // BSD writes -f; stty of util-linux and BusyBox -F.
      if (!(await runs('stty', ['-F', tty, ...size], signal))) {
        await runs('stty', ['-f', tty, ...size], signal);
      }
    }
    busy = false;
  };
  return (cols, rows, { tty }) => {
    if (tty === undefined) return;
    next = [cols, rows, tty];
    if (!busy) void work();
  };
}

/** One word for a POSIX shell. */
function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
