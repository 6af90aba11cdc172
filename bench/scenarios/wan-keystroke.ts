import { setTimeout as sleep } from 'node:timers/promises';
import { run } from '../lib/child.ts';
import { percentile } from '../lib/statistics.ts';
import { EchoClient } from '../lib/websocket.ts';
import { tool } from '../lib/tools.ts';
import type { Scenario, Stand, System } from '../scenario.ts';

/** Faster than anyone types, so that 99% means something within seconds. */
const EVERY_MS = 20;

/** Echo times in ms of single messages beside a copy that saturates the slow line in one direction. */
async function beside(
  stand: Stand,
  system: System,
  direction: 'download' | 'upload',
): Promise<number[]> {
  const client = await EchoClient.open(system.endpoint('echo'));
  await client.echo();
  const { port, headers } = system.endpoint('http');
  const args = Object.entries(headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`]);
  const copying = new AbortController();
  const limit = String(stand.seconds + 2);
  const copy = run(tool('curl'), [
    '-sS',
    '--http1.1',
    '-o',
    '/dev/null',
    '--max-time',
    limit,
    ...args,
    ...(direction === 'upload' ? ['-T', stand.file, '-H', 'Expect:'] : []),
    `http://127.0.0.1:${port}${direction === 'upload' ? '/put/wan' : '/file'}`,
  ])
    // curl's exit by --max-time is the planned end of the copy.
    .catch(() => '')
    .finally(() => copying.abort());
  // The copy needs a moment to fill the line: that is what a keystroke meets.
  await sleep(1000);
  const times: number[] = [];
  const until = performance.now() + stand.seconds * 1000;
  while (performance.now() < until && !copying.signal.aborted) {
    const start = performance.now();
    await client.echo();
    times.push(performance.now() - start);
    await sleep(EVERY_MS);
  }
  client.close();
  await copy;
  if (times.length === 0) throw new Error('the copy ended before a keystroke was measured');
  return times;
}

export const wanKeystroke: Scenario = {
  results: { 'wan-keystroke-p99': 'ms' },
  systems: ['burrow', 'direct', 'ssh-r'],
  run: async (stand, name) => {
    const system = await stand.slowSystem(name);
    const down = percentile(await beside(stand, system, 'download'), 0.99);
    const up = percentile(await beside(stand, system, 'upload'), 0.99);
    process.stderr.write(
      `  beside a download ${down.toFixed(1)} ms, beside an upload ${up.toFixed(1)} ms\n`,
    );
    // The worse of the two directions.
    return { 'wan-keystroke-p99': Math.max(down, up) };
  },
};
