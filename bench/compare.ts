/**
 * `node bench/compare.ts [--rounds N] [--seconds S] [--only c1,c32,download,upload,idle] BUILD BUILD…`
 *
 * Several builds of Burrow beside each other, in turn, each a relay and an agent of its own:
 * what a change, or another Node, is worth. A BUILD is a folder with a checkout, or
 * `FOLDER@NODE`; the first is what the others are compared with. Results hold for this
 * machine and this run; processor time is steadier than rates where others work too.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { processorTime } from './lib/processor-time.ts';
import { median } from './lib/statistics.ts';
import { transfer } from './lib/transfer.ts';
import { wrk } from './lib/wrk.ts';
import { idleLinkKb } from './scenarios/idle-link.ts';
import { startAgent, startBurrow, type AgentSystem, type Build } from './systems/burrow.ts';
import { startWorkload, TRANSFER_BYTES, type Workload } from './systems/workload.ts';

interface Running {
  readonly build: Build;
  readonly relay: number;
  readonly agent: AgentSystem;
}

type Results = Record<string, number>;

/** What `work` costs relay and agent, in µs for each of the units that it says to have done. */
async function costOf(
  { relay, agent }: Running,
  work: () => Promise<number>,
): Promise<readonly [relay: number, agent: number]> {
  const before = [processorTime(relay), processorTime(agent.pid)] as const;
  const units = await work();
  return [
    (processorTime(relay) - before[0]) / units,
    (processorTime(agent.pid) - before[1]) / units,
  ];
}

async function requests(running: Running, connections: number, seconds: number): Promise<Results> {
  let result = { requests: 0, requestsPerSecond: 0, p50: 0, p99: 0 };
  const [relay, agent] = await costOf(running, async () => {
    result = await wrk(running.agent.endpoint('http'), connections, seconds);
    return result.requests;
  });
  const name = `c${connections}`;
  return {
    [`${name} requests/s`]: result.requestsPerSecond,
    [`${name} p50 µs`]: result.p50,
    [`${name} relay µs/request`]: relay,
    [`${name} agent µs/request`]: agent,
  };
}

async function copy(running: Running, workload: Workload, up: boolean): Promise<Results> {
  let rate = 0;
  const [relay, agent] = await costOf(running, async () => {
    const [path, file] = up ? (['/put/file', workload.file] as const) : (['/file'] as const);
    rate = await transfer(running.agent.endpoint('http'), path, TRANSFER_BYTES, file);
    return 1000;
  });
  const name = up ? 'upload' : 'download';
  return {
    [`${name} MB/s`]: rate,
    [`${name} relay ms/100 MB`]: relay,
    [`${name} agent ms/100 MB`]: agent,
  };
}

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '7' },
    seconds: { type: 'string', default: '2' },
    only: { type: 'string', default: 'c1,c32,download,upload,idle' },
  },
});
const rounds = Number(options.rounds);
const seconds = Number(options.seconds);
const only = options.only.split(',');
if (positionals.length === 0) {
  console.error('compare: name the builds to compare, as FOLDER or FOLDER@NODE');
  process.exit(2);
}
const builds: readonly Build[] = positionals.map((given) => {
  const [folder = '', node = process.execPath] = given.split('@');
  return { root: resolve(folder), node: node.includes('/') ? resolve(node) : node };
});

const measured = builds.map(() => new Map<string, number[]>());
{
  await using stack = new AsyncDisposableStack();
  const memory = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
  const directory = mkdtempSync(join(memory, 'burrow-compare-'));
  stack.defer(() => rmSync(directory, { recursive: true, force: true }));
  const workload = stack.use(await startWorkload(directory));
  const running: Running[] = [];
  for (const build of builds) {
    const relay = stack.use(await startBurrow(directory, build));
    running.push({
      build,
      relay: relay.pid,
      agent: stack.use(await startAgent(relay, workload, 'compare')),
    });
  }
  const scenarios: Readonly<Record<string, (running: Running) => Promise<Results>>> = {
    c1: (each) => requests(each, 1, seconds),
    c32: (each) => requests(each, 32, seconds),
    download: (each) => copy(each, workload, false),
    upload: (each) => copy(each, workload, true),
    idle: async ({ build }) => ({ 'idle link KB': await idleLinkKb(directory, build) }),
  };
  // The first round warms up; idle links come to a relay of their own, and need none.
  for (let round = -1; round < rounds; round += 1) {
    for (const [name, scenario] of Object.entries(scenarios)) {
      if (!only.includes(name) || (name === 'idle' && round < 0)) continue;
      for (let turn = 0; turn < builds.length; turn += 1) {
        const at = (turn + round + 1) % builds.length;
        const results = await scenario(running[at] as Running);
        if (round < 0) continue;
        for (const [result, value] of Object.entries(results)) {
          const values = measured[at] as Map<string, number[]>;
          values.set(result, [...(values.get(result) ?? []), value]);
        }
      }
    }
    process.stderr.write(round < 0 ? 'warmed up\n' : `round ${round + 1}/${rounds}\n`);
  }
}

const shown = (value: number): string => value.toFixed(value < 100 ? 1 : 0).padStart(9);
const base = measured[0] as Map<string, number[]>;
for (const [result, first] of base) {
  const cells = measured.map((values, at) => {
    const own = values.get(result) ?? [];
    // Of each round's own ratio: rounds differ more than builds do.
    const ratio = median(own.map((value, round) => value / (first[round] ?? Number.NaN)));
    return at === 0 ? shown(median(own)) : `${shown(median(own))} ${`${ratio.toFixed(2)} ×`}`;
  });
  console.log(`${result.padEnd(26)}${cells.join('  ')}`);
}
