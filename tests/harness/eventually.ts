import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Asks `check` until it gives something (neither undefined nor false), and
 * returns that. Fails after `boundMs` with a sentence naming `what`, and the
 * last error of `check`, if it threw.
 */
export async function eventually<T>(
  what: string,
  check: () => T | undefined | false | Promise<T | undefined | false>,
  boundMs = 15_000,
): Promise<T> {
  const deadline = Date.now() + boundMs;
  let last: unknown;
  for (;;) {
    try {
      const result = await check();
      if (result !== undefined && result !== false) return result;
    } catch (error) {
      last = error;
    }
    if (Date.now() > deadline) {
      throw new Error(`Not within ${boundMs / 1000} s: ${what}.`, { cause: last });
    }
    await sleep(25);
  }
}
