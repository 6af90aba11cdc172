// A member of three is replaced every 10 s, killed and drained in turn, under everything that a person may have open.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { test, type TestContext } from 'node:test';
import { startCluster, type Cluster, type SteeredLine } from '../harness/cluster.ts';
import { eventually } from '../harness/eventually.ts';
import { piece, startApp } from './support/app.ts';
import { record } from './support/report.ts';
import type { Outcome } from './support/streams.ts';
import { prepareTraffic } from './support/traffic.ts';

const LONG = process.env['BURROW_TEST_LONG'] === '1';
const EVERY_MS = LONG ? 10_000 : 7_000;
const REPLACEMENTS = LONG ? 12 : 4;
/** Of the download and of the upload; a piece every 20 ms. */
const PIECE_BYTES = LONG ? 160 * 1024 : 32 * 1024;
const COUNT = LONG ? 6_700 : 1_750;
/** scp's file lasts as long as the quiet and the replacements do. */
const SCP_KBITS = 8_000;
const SCP_BYTES = (((1 + REPLACEMENTS) * EVERY_MS) / 1000) * ((SCP_KBITS * 1000) / 8);
/** What a relay may keep of the time: garbage that is not collected yet, compiled code. */
const GROWTH_BYTES = 200 * 1024 * 1024;
/** Connections to apps that the gateway keeps for the next request. */
const IDLE_CHANNELS = 10;

interface Replaced {
  /** `quiet`: before the first one, nothing was done. It tells what the machine itself adds. */
  readonly how: 'quiet' | 'killed' | 'drained';
  readonly at: number;
}

/** The agent's links and the command line go over `one` and `two` in turn; both lines move away from the one that ends. */
async function replaceMembers(
  cluster: Cluster,
  lines: readonly SteeredLine[],
): Promise<readonly Replaced[]> {
  const replaced: Replaced[] = [{ how: 'quiet', at: performance.now() }];
  await sleep(EVERY_MS);
  for (let i = 0; i < REPLACEMENTS; i++) {
    const [ends, stays] = i % 2 === 0 ? ['one', 'two'] : ['two', 'one'];
    const how = i % 4 < 2 ? 'killed' : 'drained';
    const at = performance.now();
    for (const line of lines) line.to = cluster.relay(stays!);
    cluster.kill(ends!, how === 'killed' ? 'SIGKILL' : 'SIGTERM');
    replaced.push({ how, at });
    await cluster.relay(ends!).ended;
    await cluster.start(ends!);
    await sleep(Math.max(0, EVERY_MS - (performance.now() - at)));
  }
  return replaced;
}

/** The longest pause of each stream after each replacement, in ms, in order. */
function stallsOf(
  outcomes: ReadonlyMap<string, Outcome>,
  replaced: readonly Replaced[],
  which: (replaced: Replaced) => boolean,
): readonly number[] {
  return [...outcomes.values()]
    .flatMap(({ pauses }) =>
      replaced.flatMap((each, i) => {
        if (!which(each)) return [];
        const until = replaced[i + 1]?.at ?? Infinity;
        const within = pauses.filter(({ at }) => at >= each.at && at < until);
        return [Math.max(0, ...within.map(({ ms }) => ms))];
      }),
    )
    .sort((a, b) => a - b);
}

function spread(sorted: readonly number[]): string {
  const at = (share: number): number =>
    Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0);
  return `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, at most ${at(1)} ms`;
}

async function residentBytes(cluster: Cluster, id: string): Promise<number> {
  const answer = await fetch(`http://127.0.0.1:${cluster.relay(id).port}/metrics`);
  const found = /^burrow_process_resident_memory_bytes (\S+)$/m.exec(await answer.text());
  assert.ok(found, 'the relay tells its memory');
  return Number(found[1]);
}

async function sha256(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

async function assertNothingLeaks(t: TestContext, cluster: Cluster, before: number) {
  const clean = await eventually(
    'channels and links of what has ended are gone',
    async () => {
      const { relays } = await cluster.api('edge').cluster();
      const living = relays.flatMap(({ stats }) => (stats === null ? [] : [stats]));
      const channels = living.reduce((sum, stats) => sum + stats.channels, 0);
      const links = living.every(({ peerLinks }) => peerLinks.in <= 8 && peerLinks.out <= 8);
      return living.length === 3 && channels <= IDLE_CHANNELS && links && { channels, living };
    },
    60_000,
  );
  const after = await residentBytes(cluster, 'edge');
  const growth = Math.round((after - before) / 1024 / 1024);
  t.diagnostic(
    `afterwards ${clean.channels} channels, peer links ${JSON.stringify(clean.living.map(({ peerLinks }) => peerLinks))}, the edge relay grew by ${growth} MiB`,
  );
  assert.ok(after - before < GROWTH_BYTES, `the edge relay grew by ${growth} MiB`);
}

test(
  `a member is replaced every ${EVERY_MS / 1000} s, ${REPLACEMENTS} times: everything is whole, and nothing leaks`,
  { timeout: 900_000 },
  async (t) => {
    const cluster = await startCluster(['one', 'two', 'edge'], {
      BURROW_RELAY_DRAIN__GRACE_MS: '2000',
    });
    t.after(() => cluster[Symbol.asyncDispose]());
    const app = await startApp();
    t.after(() => app[Symbol.asyncDispose]());
    const agentLine = await cluster.line(cluster.relay('one'));
    const cliLine = await cluster.line(cluster.relay('one'));
    await cluster.agent('demo', agentLine);
    const traffic = await prepareTraffic(cluster, app, 'demo');
    const file = join(cluster.folder, 'sent');
    await writeFile(file, piece(7, SCP_BYTES));
    const before = await residentBytes(cluster, 'edge');

    const streams = traffic.start('edge', cliLine.port, COUNT, { bytes: PIECE_BYTES });
    const copied = traffic.scp(cliLine.port, file, `${file}-received`, SCP_KBITS);
    copied.catch(() => {});
    await Promise.all(streams.map(({ begun }) => begun));
    await sleep(500);
    const replaced = await replaceMembers(cluster, [agentLine, cliLine]);
    const outcomes = new Map<string, Outcome>();
    for (const { kind, outcome } of streams) outcomes.set(kind, await outcome);

    for (const [kind, { whole, units, stallMs, said }] of outcomes) {
      const how = whole ? 'whole' : `ended after ${units}: ${said}`;
      t.diagnostic(`${kind}: ${how}, stalled ${stallMs} ms`);
    }
    const took = replaced.slice(1).map(({ at }, i) => Math.round(at - replaced[i]!.at));
    t.diagnostic(`replaced ${replaced.length - 1} times, ms apart: ${took.join(', ')}`);
    for (const each of replaced) {
      const worst = stallsOf(outcomes, replaced, (other) => other === each).map(Math.round);
      t.diagnostic(`${each.how}: ${worst.join(', ')} ms`);
    }
    const stalls = (['killed', 'drained', 'quiet'] as const).map((how) => {
      return [how, spread(stallsOf(outcomes, replaced, (each) => each.how === how))] as const;
    });
    for (const [how, said] of stalls) t.diagnostic(`stalls, ${how}: ${said}`);
    for (const [kind, { whole, units, said }] of outcomes) {
      assert.ok(whole, `${kind} ended after ${units}: ${said}`);
    }
    await copied;
    assert.equal(await sha256(`${file}-received`), await sha256(file), 'scp’s file is whole');
    await rm(`${file}-received`);
    await assertNothingLeaks(t, cluster, before);
    if (LONG) for (const [how, said] of stalls) record(how, new Map([['stalls', said]]), 'rolling');
  },
);
