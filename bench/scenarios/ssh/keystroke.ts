import { rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from '../../lib/child.ts';
import { EchoSession } from '../../lib/echo-session.ts';
import { percentile } from '../../lib/statistics.ts';
import { tool } from '../../lib/tools.ts';
import type { Stand } from '../../scenario.ts';
import { NAME, type SshWay } from '../../systems/ssh-ways.ts';
import { bothWays } from './both-ways.ts';

/** Faster than anyone types, so that 99% means something within seconds. */
const EVERY_MS = 10;
/** For the copy to be at its full speed: that is what a keystroke meets. */
const SETTLE_MS = 300;

/** Copies the big file with scp, again until told to stop. Resolves then; rejects when a copy fails. */
async function copies(
  stand: Stand,
  way: SshWay,
  direction: 'download' | 'upload',
  stop: AbortSignal,
): Promise<void> {
  const from = stand.sshLoad.bigFile();
  const to = stand.sshLoad.free();
  const [source, target] =
    direction === 'download' ? [`${NAME}:${from}`, to] : [from, `${NAME}:${to}`];
  try {
    while (!stop.aborted)
      await run(tool('scp'), ['-q', '-F', way.config, source, target], {
        env: way.env,
        signal: stop,
      });
  } catch (error) {
    if (!stop.aborted) throw error;
  } finally {
    rmSync(to, { force: true });
  }
}

/** Echo times, ms. */
async function beside(
  stand: Stand,
  way: SshWay,
  direction: 'download' | 'upload',
): Promise<readonly number[]> {
  await using session = await EchoSession.open(way);
  const stop = new AbortController();
  let failed: unknown;
  const copying = copies(stand, way, direction, stop.signal).catch((error: unknown) => {
    failed = error;
  });
  const times: number[] = [];
  try {
    await sleep(SETTLE_MS);
    const until = performance.now() + stand.seconds * 1000;
    while (performance.now() < until && failed === undefined) {
      times.push(await session.echo());
      await sleep(EVERY_MS);
    }
  } finally {
    stop.abort();
    await copying;
  }
  if (failed !== undefined) throw failed;
  if (!session.hasTerminal) process.stderr.write(`  ${way.host}: a session without a terminal\n`);
  return times;
}

/** Echo of single bytes in a session of its own beside scp in another; the worse of both directions. */
export const keystroke = bothWays('keystroke-p99', 'ms', async (stand, way) => {
  const down = percentile(await beside(stand, way, 'download'), 0.99);
  const up = percentile(await beside(stand, way, 'upload'), 0.99);
  process.stderr.write(
    `  ${way.host}: beside a download ${down.toFixed(1)} ms, beside an upload ${up.toFixed(1)} ms\n`,
  );
  return Math.max(down, up);
});
