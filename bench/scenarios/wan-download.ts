import { transfer } from '../lib/transfer.ts';
import type { Scenario } from '../scenario.ts';
import { TRANSFER_BYTES } from '../systems/workload.ts';

/** The same download with the slow line between workload and server. */
export const wanDownload: Scenario = {
  results: { 'wan-download': 'MB/s' },
  systems: ['burrow', 'direct', 'ssh-r'],
  run: async (stand, name) => {
    const system = await stand.slowSystem(name);
    return { 'wan-download': await transfer(system.endpoint('http'), '/file', TRANSFER_BYTES) };
  },
};
