import { LIVENESS_GRAIN_MS, STOOD_STILL_MS } from '../limits.ts';

/** Anything that must be looked at every half second. One timer serves all links of the process. */
export interface Watched {
  check(now: number): void;
}

const watched = new Set<Watched>();
let timer: NodeJS.Timeout | undefined;

export function watch(link: Watched): void {
  watched.add(link);
  timer ??= setInterval(afterReading, LIVENESS_GRAIN_MS).unref();
}

export function unwatch(link: Watched): void {
  watched.delete(link);
  if (watched.size > 0 || timer === undefined) return;
  clearInterval(timer);
  timer = undefined;
}

/** Timers run before sockets are read: after a busy second the answers still lie in the kernel. */
function afterReading(): void {
  setImmediate(() => checkAll(performance.now()));
}

let checkedAt = -Infinity;

/** What the timer does; `now` in ms of `performance.now()`. */
export function checkAll(now: number): void {
  const late = now - checkedAt > STOOD_STILL_MS;
  checkedAt = now;
  // The machine itself may have stood still: what was sent to it meanwhile has still to come.
  if (late) return;
  for (const link of watched) link.check(now);
}
