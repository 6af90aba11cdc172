import { transfer } from '../lib/transfer.ts';
import type { Scenario } from '../scenario.ts';
import { TRANSFER_BYTES } from '../systems/workload.ts';

export const download: Scenario = {
  results: { download: 'MB/s' },
  warmUp: true,
  systems: ['burrow', 'direct', 'nginx', 'caddy', 'ssh-r'],
  run: async (stand, name) => {
    const system = await stand.system(name);
    return { download: await transfer(system.endpoint('http'), '/file', TRANSFER_BYTES) };
  },
};
