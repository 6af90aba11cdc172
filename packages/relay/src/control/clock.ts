/** The only source of time in this room: tests bring their own. */
export interface Clock {
  /** ms since the epoch. May jump either way: see lease.ts. */
  now(): number;
}

export const SYSTEM_CLOCK: Clock = { now: () => Date.now() };
