import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { installEditor } from './install-editor.mjs';
import { postgresForTests } from '../tests/harness/postgres.ts';
import { onStarterGone } from './lib/lifeline.ts';
import { seconds } from './lib/progress.mjs';
import { ROOT } from './lib/project-node.mjs';
import { ensureSystemPackages } from './lib/system-packages.ts';
import { filesOf, STAGES, type CheckStage, type FilesStage, type Stage } from './testing/stages.ts';
import { runProcess } from './testing/run-process.ts';

/** They have a short form in `npm test`, and this one where BURROW_TEST_LONG is 1. */
const LONG_FILES = ['tests/system/ssh/transfer.test.ts'];

const HELP = `npm test [-- [--only STAGE[,STAGE]] [--long] [FILE …]]

Installs what the tests need, and runs all stages: ${STAGES.map((stage) => stage.name).join(', ')}.
FILE is a part of a test file's path; with it, only the stages that run files are run.
--long (npm run test:long) runs what takes minutes instead: ${LONG_FILES.join(', ')}.
`;

const CHECK_BOUND_MS = 5 * 60_000;
const FILES_BOUND_MS = 30 * 60_000;
/** A machine that does other things at once copies 24 GB at a tenth of its speed. */
const LONG_BOUND_MS = 90 * 60_000;
/** One test, or one file, may take this long. */
const TEST_TIMEOUT_MS = 5 * 60_000;

interface Result {
  readonly stage: string;
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  readonly ms: number;
}

interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly cancelled: number;
  readonly skipped: number;
  readonly todo: number;
}

const abort = new AbortController();

async function check(stage: CheckStage): Promise<Counts> {
  const command = join(ROOT, 'node_modules/.bin', stage.command);
  const options = { cwd: ROOT, signal: abort.signal, boundMs: CHECK_BOUND_MS };
  const ok = (await runProcess(command, stage.args, options)) === 0;
  return { passed: ok ? 1 : 0, failed: ok ? 0 : 1, cancelled: 0, skipped: 0, todo: 0 };
}

async function runFiles(
  stage: FilesStage,
  files: readonly string[],
  long: boolean,
): Promise<Counts> {
  const scratch = mkdtempSync(join(tmpdir(), 'burrow-test-'));
  await using postgres = stage.onPostgres === true ? await postgresForTests() : undefined;
  if (postgres !== undefined) process.env['BURROW_TEST_POSTGRES'] = postgres.url('postgres');
  try {
    const counted = join(scratch, 'counts.json');
    const code = await runProcess(
      process.execPath,
      [
        '--disable-warning=ExperimentalWarning',
        '--test',
        `--test-concurrency=${stage.concurrency}`,
        ...(stage.forceExit === true ? ['--test-force-exit'] : []),
        `--test-timeout=${long ? LONG_BOUND_MS : TEST_TIMEOUT_MS}`,
        '--test-reporter=spec',
        '--test-reporter-destination=stdout',
        `--test-reporter=${join(ROOT, 'scripts/testing/count-reporter.mjs')}`,
        `--test-reporter-destination=${counted}`,
        ...files,
      ],
      { cwd: ROOT, signal: abort.signal, boundMs: long ? LONG_BOUND_MS : FILES_BOUND_MS },
    );
    let counts: Counts;
    try {
      counts = JSON.parse(readFileSync(counted, 'utf8')) as Counts;
    } catch {
      return { passed: 0, failed: 1, cancelled: 0, skipped: 0, todo: 0 }; // the run itself broke
    }
    const unexplained = code !== 0 && counts.failed + counts.cancelled === 0 ? 1 : 0;
    return { ...counts, failed: counts.failed + unexplained };
  } finally {
    delete process.env['BURROW_TEST_POSTGRES'];
    rmSync(scratch, { recursive: true, force: true });
  }
}

function chosenStages(only: readonly string[], filters: readonly string[]): Stage[] {
  const names = only.flatMap((value) => value.split(','));
  const unknown = names.filter((name) => !STAGES.some((stage) => stage.name === name));
  if (unknown.length > 0) {
    throw new Error(`No such stage: ${unknown.join(', ')}.\n\n${HELP}`);
  }
  return STAGES.filter(
    (stage) =>
      (names.length === 0 || names.includes(stage.name)) &&
      (filters.length === 0 ||
        (stage.kind === 'files' && filesOf(stage, ROOT, filters).length > 0)),
  );
}

async function prepare(stages: readonly Stage[]): Promise<void> {
  const running = stages.filter((stage) => stage.kind === 'files');
  await ensureSystemPackages(
    running.flatMap((stage) => stage.needs),
    abort.signal,
  );
  if (running.some((stage) => stage.needsEditor)) await installEditor({ signal: abort.signal });
  if (running.length > 0) {
    const options = { cwd: ROOT, signal: abort.signal, boundMs: CHECK_BOUND_MS };
    const built = await runProcess(process.execPath, ['scripts/build-agent.mjs'], options);
    if (built !== 0) throw new Error('The agent could not be built: see above.');
  }
}

function summary(results: readonly Result[]): void {
  const rows = results.map((result) => [
    result.failed > 0 ? '✗' : '✓',
    result.stage.padEnd(8),
    `${result.passed} passed`.padStart(12),
    `${result.failed} failed`.padStart(10),
    result.skipped > 0 ? `${result.skipped} skipped` : '',
    seconds(result.ms).padStart(8),
  ]);
  process.stdout.write(`\n${rows.map((row) => row.join(' ').trimEnd()).join('\n')}\n`);
  const sum = (key: 'passed' | 'failed'): number =>
    results.reduce((total, result) => total + result[key], 0);
  process.stdout.write(`${sum('passed')} passed, ${sum('failed')} failed\n`);
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      only: { type: 'string', multiple: true },
      long: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help === true) {
    process.stdout.write(HELP);
    return 0;
  }
  // A path as a shell completes it, from wherever it was typed.
  const filters = (values.long ? LONG_FILES : positionals).map((value) =>
    // A folder's name is not the beginning of another's.
    relative(ROOT, join(ROOT, value)).concat(value.endsWith('/') ? '/' : ''),
  );
  if (values.long) process.env['BURROW_TEST_LONG'] = '1';
  const stages = chosenStages(values.only ?? [], filters);
  if (stages.length === 0) throw new Error(`No test file matches: ${positionals.join(', ')}.`);
  await prepare(stages);

  const results: Result[] = [];
  for (const stage of stages) {
    if (abort.signal.aborted) break;
    const files = stage.kind === 'files' ? filesOf(stage, ROOT, filters) : [];
    process.stdout.write(`\n── ${stage.name} ──\n`);
    const began = Date.now();
    const counts = await (stage.kind === 'check'
      ? check(stage)
      : runFiles(stage, files, values.long));
    results.push({
      stage: stage.name,
      passed: counts.passed,
      failed: counts.failed + counts.cancelled,
      skipped: counts.skipped + counts.todo,
      ms: Date.now() - began,
    });
  }
  summary(results);
  return results.some((result) => result.failed > 0) || abort.signal.aborted ? 1 : 0;
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => abort.abort());
}
onStarterGone(() => abort.abort());
try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.stdout.write('0 passed, 1 failed\n');
  process.exitCode = 1;
}
