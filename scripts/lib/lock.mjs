import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const POLL_MS = 200;
const WAIT_MS = 15 * 60_000;

/** @param {number} pid */
function alive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

/** @param {string} path @returns {Promise<number | undefined>} */
async function owner(path) {
  const text = await readFile(join(path, 'pid'), 'utf8').catch(() => '');
  const pid = Number.parseInt(text, 10);
  return Number.isInteger(pid) && pid > 0 ? pid : undefined;
}

/** Takes a lock away from a process that is gone. */
async function breakLock(path, deadPid) {
  const aside = `${path}.${process.pid}.${Date.now()}`;
  try {
    await rename(path, aside);
  } catch {
    return; // somebody else was faster
  }
  // Between looking and renaming, another process may have taken the lock anew.
  if ((await owner(aside)) !== deadPid) await rename(aside, path).catch(() => undefined);
  else await rm(aside, { recursive: true, force: true });
}

/**
 * Runs `work` while holding the lock directory `path`, so that two commands
 * started at once do not install over each other. A lock whose owner is gone is
 * taken over; waiting for a live one ends after 15 minutes with an error.
 * @template T
 * @param {string} path
 * @param {() => Promise<T>} work
 * @param {{ onWait?: (pid: number | undefined) => void }} [options]
 * @returns {Promise<T>}
 */
export async function withLock(path, work, { onWait } = {}) {
  await mkdir(dirname(path), { recursive: true });
  const deadline = Date.now() + WAIT_MS;
  let told = false;
  let nameless = 0;
  for (;;) {
    try {
      await mkdir(path);
      break;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    const pid = await owner(path);
    // A lock without a pid is being made right now, or its maker died in between.
    nameless = pid === undefined ? nameless + 1 : 0;
    if ((pid !== undefined && !alive(pid)) || nameless > 25) {
      await breakLock(path, pid);
      continue;
    }
    if (!told && pid !== undefined) {
      told = true;
      onWait?.(pid);
    }
    if (Date.now() > deadline) {
      throw new Error(
        `Process ${pid ?? '?'} holds ${path} for over 15 minutes. End it, or remove that folder.`,
      );
    }
    await sleep(POLL_MS);
  }
  try {
    await writeFile(join(path, 'pid'), `${process.pid}\n`);
    return await work();
  } finally {
    await rm(path, { recursive: true, force: true });
  }
}
