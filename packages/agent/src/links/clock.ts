/** Time as the agent sees it; tests bring their own. */
export interface Clock {
  /** Monotonic ms. */
  now(): number;
  /** Calls back once; returns what cancels it. */
  after(ms: number, callback: () => void): () => void;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  after(ms, callback) {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
};
