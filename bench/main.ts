/**
 * `npm run bench -- [--json FILE] [--only scenario,…] [--systems system,…] [--rounds N] [--seconds S] [--ssh-megabytes N]`
 *
 * Burrow beside nginx, Caddy, `ssh -R` and OpenSSH's server, in one run on one machine. Machines
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
  type Outcome,
  type Report,
  type Row,
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
  return given.split(',').flatMap((name) => {
    // `ssh-*-download`: all that match.
    const pattern = new RegExp(`^${name.replace(/[^\w*-]/g, '').replaceAll('*', '.*')}$`);
    const found = known.filter((each) => pattern.test(each));
    if (found.length === 0) fail(`no ${what} is called ${name}; known: ${known.join(', ')}`);
    return found;
  });
}

function positive(name: string, given: string): number {
  const value = Number(given);
  if (!Number.isInteger(value) || value < 1)
    fail(`--${name} must be a whole number, 1 or more; it is "${given}"`);
  return value;
}

/** What could not be measured, and why. */
interface Failure {
  readonly result: string;
  readonly reason: string;
}

interface Measured {
  readonly report: Report;
  readonly failures: readonly Failure[];
}

/** Interleaved rounds; the order turns by one each round, so that no system always runs after the same other. */
async function measure(
  scenario: Scenario,
  stand: Stand,
  systems: readonly SystemName[],
  rounds: number,
): Promise<Measured> {
  const values = new Map<SystemName, Readonly<Record<string, Outcome>>[]>();
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
      values.set(system, [...(values.get(system) ?? []), result]);
    }
  }
  const failures: Failure[] = [];
  const report: Report = {};
  for (const [name, unit] of Object.entries(scenario.results)) {
    const row: Row = { unit };
    for (const system of systems) {
      const outcomes = (values.get(system) ?? []).map((value) => value[name]);
      const failed = outcomes.find((outcome) => outcome instanceof Error);
      if (failed !== undefined)
        failures.push({ result: `${name} (${system})`, reason: failed.message });
      const numbers = outcomes.filter((outcome) => typeof outcome === 'number');
      // A median of the rounds that happened to work would be no median of this run.
      if (numbers.length === rounds) row[system] = Number(median(numbers).toFixed(3));
    }
    report[name] = row;
  }
  return { report, failures };
}

const { values: options } = parseArgs({
  options: {
    json: { type: 'string' },
    only: { type: 'string' },
    systems: { type: 'string' },
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '2' },
    'ssh-megabytes': { type: 'string', default: '1000' },
  },
});
const rounds = positive('rounds', options.rounds);
const seconds = positive('seconds', options.seconds);
const sshMegabytes = positive('ssh-megabytes', options['ssh-megabytes']);
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
const failures: Failure[] = [];
{
  await using stand = await startStand({
    seconds,
    sshMegabytes,
    wanted: (result) => only.includes(result),
  });
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => void stand[Symbol.asyncDispose]().then(() => process.exit(130)));
  for (const scenario of SCENARIOS) {
    if (!Object.keys(scenario.results).some((name) => only.includes(name))) continue;
    const taking = scenario.systems.filter((name) => systems.includes(name));
    if (taking.length === 0) continue;
    try {
      const measured = await measure(scenario, stand, taking, rounds);
      Object.assign(report, measured.report);
      failures.push(...measured.failures);
    } catch (error) {
      for (const result of Object.keys(scenario.results))
        failures.push({ result, reason: (error as Error).message });
    }
  }
}

for (const name of Object.keys(report)) if (!only.includes(name)) delete report[name];
if (options.json !== undefined)
  writeFileSync(options.json, `${JSON.stringify(report, undefined, 2)}\n`);
console.log(format(report, judge(report)));
// The other scenarios still tell something; the exit code says that these are missing.
for (const [reason, failed] of Map.groupBy(failures, (failure) => failure.reason))
  console.error(`\nnot measured: ${failed.map(({ result }) => result).join(', ')}:\n  ${reason}`);
process.exit(failures.length > 0 ? 1 : 0);
