import type { Driver } from './driver.ts';

/** The user starts the agent wherever the workload is: there is nothing to do here. */
export function externalDriver(): Driver {
  return {
    name: 'external',
    start: () => Promise.resolve({}),
    stop: () => Promise.resolve(),
    stopAll: () => Promise.resolve(),
  };
}
