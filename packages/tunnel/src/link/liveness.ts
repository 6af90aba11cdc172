import { LIVENESS_GRAIN_MS } from '../limits.ts';

/** The timer is never that late in a process that runs. */
const STOOD_STILL_MS = 4 * LIVENESS_GRAIN_MS;

/** Anything that must be looked at every half second. One timer serves all links of the process. */
export interface Watched {
  check(now: number): void;
}

const watched = new Set<Watched>();
let timer: NodeJS.Timeout | undefined;

export function watch(link: Watched): void {
  watched.add(link);
  timer ??= setInterval(() => checkAll(performance.now()), LIVENESS_GRAIN_MS).unref();
}

export function unwatch(link: Watched): void {
  watched.delete(link);
  if (watched.size > 0 || timer === undefined) return;
  clearInterval(timer);
  timer = undefined;
}

let checkedAt = -Infinity;

/** What the timer does; `now` in ms of `performance.now()`. */
export function checkAll(now: number): void {
  const late = now - checkedAt > STOOD_STILL_MS;
  checkedAt = now;
  // This process itself stood still: what came meanwhile is read first.
  if (late) return;
  for (const link of watched) link.check(now);
}
