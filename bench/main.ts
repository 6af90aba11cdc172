/**
 * `npm run bench -- [--json FILE] [--only scenario,…] [--systems system,…] [--rounds N] [--seconds S]`
 *
 * Burrow beside nginx, Caddy and `ssh -R`, in one run on one machine. Machines
 * are noisy: each round runs every system once, in turn, and what counts are
 * ratios of medians.
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { onStarterGone } from '../scripts/lib/lifeline.ts';
import { median } from './lib/statistics.ts';
import { checkTools } from './lib/tools.ts';
import { SCENARIOS } from './scenarios/index.ts';
import {
  SYSTEM_NAMES,
  type Report,
  type Scenario,
  type Stand,
  type SystemName,
} from './scenario.ts';
import { startStand } from './stand.ts';
import { format } from './table.ts';
import { judge } from './targets.ts';

onStarterGone(() => process.kill(process.pid, 'SIGTERM'));

function fail(message: string): never {
  console.error(`bench: ${message}`);
  process.exit(2);
}

function list<T extends string>(
  what: string,
  given: string | undefined,
  known: readonly T[],
): readonly T[] {
  if (given === undefined) return known;
  const names = given.split(',');
  const unknown = names.filter((name) => !(known as readonly string[]).includes(name));
  if (unknown.length > 0)
    fail(`no ${what} is called ${unknown.join(', ')}; known: ${known.join(', ')}`);
  return names as T[];
}

function positive(name: string, given: string): number {
  const value = Number(given);
  if (!Number.isInteger(value) || value < 1)
    fail(`--${name} must be a whole number, 1 or more; it is "${given}"`);
  return value;
}

/** Interleaved rounds; the order turns by one each round, so that no system always runs after the same other. */
async function measure(
  scenario: Scenario,
  stand: Stand,
  systems: readonly SystemName[],
  rounds: number,
): Promise<Report> {
  const values = new Map<SystemName, Record<string, number>[]>();
  const first = scenario.warmUp === true ? -1 : 0;
  for (let round = first; round < rounds; round += 1) {
    for (let turn = 0; turn < systems.length; turn += 1) {
      const system = systems[(turn + round - first) % systems.length];
      if (system === undefined) continue;
      process.stderr.write(
        `${Object.keys(scenario.results)[0]} ${round < 0 ? 'warm-up' : `round ${round + 1}/${rounds}`} ${system}\n`,
      );
      const result = await scenario.run(stand, system);
      if (round < 0) continue;
      values.set(system, [...(values.get(system) ?? []), { ...result }]);
    }
  }
  return Object.fromEntries(
    Object.entries(scenario.results).map(([name, unit]) => [
      name,
      {
        unit,
        ...Object.fromEntries(
          systems.map((system) => [
            system,
            Number(
              median((values.get(system) ?? []).map((value) => value[name] ?? Number.NaN)).toFixed(
                3,
              ),
            ),
          ]),
        ),
      },
    ]),
  );
}

const { values: options } = parseArgs({
  options: {
    json: { type: 'string' },
    only: { type: 'string' },
    systems: { type: 'string' },
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '2' },
  },
});
const rounds = positive('rounds', options.rounds);
const seconds = positive('seconds', options.seconds);
const only = list(
  'scenario',
  options.only,
  SCENARIOS.flatMap((scenario) => Object.keys(scenario.results)),
);
const systems = list('system', options.systems, SYSTEM_NAMES);
try {
  checkTools();
} catch (error) {
  fail((error as Error).message);
}

const report: Report = {};
let failures = 0;
{
  await using stand = await startStand(seconds);
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => void stand[Symbol.asyncDispose]().then(() => process.exit(130)));
  for (const scenario of SCENARIOS) {
    if (!Object.keys(scenario.results).some((name) => only.includes(name))) continue;
    const taking = scenario.systems.filter((name) => systems.includes(name));
    if (taking.length === 0) continue;
    try {
      Object.assign(report, await measure(scenario, stand, taking, rounds));
    } catch (error) {
      // The other scenarios still tell something; the exit code says that this one is missing.
      failures += 1;
      console.error(`${Object.keys(scenario.results).join(', ')}: ${(error as Error).message}`);
    }
  }
}

for (const name of Object.keys(report)) if (!only.includes(name)) delete report[name];
if (options.json !== undefined)
  writeFileSync(options.json, `${JSON.stringify(report, undefined, 2)}\n`);
console.log(format(report, judge(report)));
process.exit(failures > 0 ? 1 : 0);
