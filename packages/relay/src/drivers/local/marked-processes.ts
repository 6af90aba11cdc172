import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Every process of a workspace carries this variable, and so do those it
 * starts: terminals make sessions of their own, so process groups alone would
 * miss what runs in them.
 */
export const MARK_VARIABLE = 'BURROW_WORKSPACE_MARK';

const POLL_MS = 25;
/** New processes may appear while old ones are ended; a few rounds catch them. */
const KILL_ROUNDS = 5;

/** Process ids whose environment carries the mark. Empty where there is no /proc. */
export async function findMarked(mark: string): Promise<number[]> {
  if (process.platform !== 'linux') return [];
  const wanted = `${MARK_VARIABLE}=${mark}`;
  const names = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found: number[] = [];
  // In slices: thousands of processes must not mean thousands of open files.
  for (let at = 0; at < names.length; at += 32) {
    await Promise.all(
      names.slice(at, at + 32).map(async (name) => {
        // Gone by now, or another user's: neither is ours.
        const environment = await readFile(`/proc/${name}/environ`, 'latin1').catch(() => '');
        if (environment.split('\0').includes(wanted)) found.push(Number(name));
      }),
    );
  }
  return found.filter((pid) => pid !== process.pid);
}

/** Sends a signal to a process (or, negative, to a group) that may be gone. */
export function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // ESRCH: it has ended already.
  }
}

/**
 * Ends all marked processes: SIGTERM, then SIGKILL for what is left after
 * `graceMs`.
 */
export async function endMarked(mark: string, graceMs: number): Promise<void> {
  let left = await findMarked(mark);
  for (const pid of left) signalProcess(pid, 'SIGTERM');
  const deadline = Date.now() + graceMs;
  while (left.length > 0 && Date.now() < deadline) {
    await sleep(POLL_MS);
    left = await findMarked(mark);
  }
  for (let round = 0; left.length > 0 && round < KILL_ROUNDS; round++) {
    for (const pid of left) signalProcess(pid, 'SIGKILL');
    await sleep(POLL_MS);
    left = await findMarked(mark);
  }
}
