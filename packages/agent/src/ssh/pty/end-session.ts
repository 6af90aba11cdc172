import { readdir, readFile } from 'node:fs/promises';
import { constants } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';

/** How long programs may take to end after SIGHUP before they are killed. */
export const GRACE_MS = 3_000;

const SIGHUP = 1;

/** `TERM`, `SIGTERM` or 15, as node names it; undefined for what this system does not know. */
export function signalName(signal: string | number): NodeJS.Signals | undefined {
  if (typeof signal === 'string') {
    const name = signal.startsWith('SIG') ? signal : `SIG${signal}`;
    return name in constants.signals ? (name as NodeJS.Signals) : undefined;
  }
  const found = Object.entries(constants.signals).find(([, number]) => number === signal);
  return found?.[0] as NodeJS.Signals | undefined;
}

/** Sends a signal to the process group that `pid` leads; false when there is none any more. */
export function signalGroup(pid: number, signal: NodeJS.Signals | 0): boolean {
  if (pid <= 1) return false;
  try {
    process.kill(-pid, signal);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

interface Member {
  readonly pid: number;
  /** When it started, so that another process that got the same number is not taken for it. */
  readonly started: string;
}

/**
 * Hangs up on everything in the session that `pid` leads (or led): SIGHUP and
 * SIGCONT at once, SIGKILL after `graceMs` to what is still there. As under
 * sshd, a program that ignores SIGHUP (`nohup`) or has a session of its own
 * (`tmux`, `setsid`) stays. Where there is no /proc, only the process group of
 * `pid` is reached.
 */
export async function endSession(pid: number, graceMs: number = GRACE_MS): Promise<void> {
  if (pid <= 1) return;
  // At once: the agent itself may be about to end.
  signalGroup(pid, 'SIGHUP');
  signalGroup(pid, 'SIGCONT');
  let members = await membersOf(pid);
  for (const member of members) {
    send(member.pid, 'SIGHUP');
    send(member.pid, 'SIGCONT');
  }
  const until = performance.now() + graceMs;
  for (let wait = 20; ; wait = Math.min(wait * 2, 250)) {
    members = await membersOf(pid);
    if (members.length === 0 && !signalGroup(pid, 0)) return;
    const left = until - performance.now();
    if (left <= 0) break;
    await delay(Math.min(wait, left), undefined, { ref: false });
  }
  if (members.length === 0) signalGroup(pid, 'SIGKILL');
  for (const member of members) {
    if (!(await ignoresHangUp(member))) send(member.pid, 'SIGKILL');
  }
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended, or is no longer ours to signal.
  }
}

async function membersOf(session: number): Promise<Member[]> {
  const names = await readdir('/proc').catch(() => []);
  const found = await Promise.all(
    names
      .filter((name) => /^\d+$/.test(name))
      .map(async (name) => ({ name, stat: await statOf(name) })),
  );
  return found.flatMap(({ name, stat }) =>
    stat !== undefined && Number(stat[3]) === session && stat[0] !== 'Z'
      ? [{ pid: Number(name), started: stat[19] ?? '' }]
      : [],
  );
}

/** The fields of /proc/PID/stat from the third on (proc(5)): state, parent, group, session, …. */
async function statOf(pid: string): Promise<string[] | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => undefined);
  return text?.slice(text.lastIndexOf(')') + 2).split(' ');
}

async function ignoresHangUp({ pid, started }: Member): Promise<boolean> {
  const status = await readFile(`/proc/${pid}/status`, 'latin1').catch(() => '');
  const mask = /^SigIgn:\s*([\da-f]+)$/m.exec(status)?.[1];
  if (mask !== undefined && (BigInt(`0x${mask}`) & (1n << BigInt(SIGHUP - 1))) !== 0n) return true;
  return (await statOf(String(pid)))?.[19] !== started;
}
