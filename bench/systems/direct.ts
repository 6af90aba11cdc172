import type { System } from '../scenario.ts';
import type { Workload } from './workload.ts';

/** Straight to the workload. */
export function direct(workload: Pick<Workload, 'httpPort' | 'echoPort'>): System {
  return {
    endpoint: (upstream) => {
      const port = upstream === 'http' ? workload.httpPort : workload.echoPort;
      return { port, headers: { Host: `127.0.0.1:${port}` } };
    },
  };
}
