import type { ChildProcess } from 'node:child_process';
import { within } from './within.ts';

const AGAIN_MS = 500;

/**
 * Ends an `ssh` by SIGTERM, as its user would. OpenSSH 9.2 loses a signal that comes right before it waits,
 * so it is sent until it is heard; rejects after 20 s.
 */
export async function endSsh(child: ChildProcess, exited: Promise<unknown>): Promise<void> {
  child.kill('SIGTERM');
  const again = setInterval(() => child.kill('SIGTERM'), AGAIN_MS);
  try {
    await within(exited, () => `ssh (${child.spawnargs.join(' ')}) ends`);
  } finally {
    clearInterval(again);
  }
}
