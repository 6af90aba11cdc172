import { LIVENESS_GRAIN_MS } from '../limits.ts';

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

/** What the timer does; `now` in ms of `performance.now()`. */
export function checkAll(now: number): void {
  for (const link of watched) link.check(now);
}
