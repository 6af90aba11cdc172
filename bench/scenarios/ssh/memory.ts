import { forgetPeak, peakResidentKb } from '../../lib/resident.ts';
import type { Outcome, Scenario } from '../../scenario.ts';
import { startBurrow } from '../../systems/burrow.ts';
import { startSshWays } from '../../systems/ssh-ways.ts';
import { BURROW_WAYS, resultName } from './both-ways.ts';
import { sftp, ssh } from './bulk.ts';

const PROCESSES = ['relay', 'agent'] as const;
const SIZES = { quarter: 4, whole: 1 } as const;

const names = BURROW_WAYS.flatMap((way) =>
  PROCESSES.flatMap((process) =>
    Object.keys(SIZES).map((size) => resultName(way, `${process}-peak-${size}`)),
  ),
);

/**
 * Peak resident memory of relay and agent while a quarter of the big file, and
 * then all of it, is downloaded, uploaded and fetched by sftp: a copy must not be held anywhere.
 */
export const memory: Scenario = {
  results: Object.fromEntries(names.map((name) => [name, 'MB'])),
  systems: ['burrow'],
  run: async (stand) => {
    const measured: Record<string, Outcome> = {};
    for (const way of BURROW_WAYS) {
      const wanted = names.filter(
        (name) => name.startsWith(resultName(way, '')) && stand.wanted(name),
      );
      if (wanted.length === 0) continue;
      try {
        // A relay and an agent of its own: what earlier scenarios left in memory is not to count.
        await using relay = await startBurrow(stand.directory);
        await using ways = startSshWays(
          stand.directory,
          await stand.sshServer(),
          async () => relay,
        );
        const to = await ways.to(way);
        const processes = await ways.processes();
        const copy = async (bytes: number): Promise<void> => {
          const file = stand.sshLoad.sparse(bytes);
          await ssh(to, `cat ${file}`, { discard: true });
          await ssh(to, 'cat >/dev/null', { input: file });
          await sftp(to, stand, `get ${file} /dev/null`);
        };
        // The first copy pays for code and pools.
        await copy(stand.sshLoad.bytes / SIZES.quarter);
        for (const [size, divisor] of Object.entries(SIZES)) {
          for (const each of PROCESSES) forgetPeak(processes[each]);
          await copy(stand.sshLoad.bytes / divisor);
          for (const each of PROCESSES) {
            measured[resultName(way, `${each}-peak-${size}`)] =
              (peakResidentKb(processes[each]) * 1024) / 1e6;
          }
        }
      } catch (error) {
        for (const name of wanted) measured[name] = error as Error;
      }
    }
    return measured;
  },
};
