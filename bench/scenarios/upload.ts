import { transfer } from '../lib/transfer.ts';
import type { Scenario } from '../scenario.ts';
import { TRANSFER_BYTES } from '../systems/workload.ts';

/** PUT of the file; the workload answers when it has all of it. */
export const upload: Scenario = {
  results: { upload: 'MB/s' },
  warmUp: true,
  systems: ['burrow', 'direct', 'nginx', 'caddy', 'ssh-r'],
  run: async (stand, name) => {
    const system = await stand.system(name);
    return {
      upload: await transfer(system.endpoint('http'), '/put/file', TRANSFER_BYTES, stand.file),
    };
  },
};
