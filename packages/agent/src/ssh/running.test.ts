import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { run } from '@burrow/ssh/testing';

// In a process that may open few files, all of which are open.
const FULL = `
import { closeSync, openSync } from 'node:fs';
import { runCommand } from ${JSON.stringify(join(import.meta.dirname, 'running.ts'))};
const full = [];
try { for (;;) full.push(openSync('/dev/null', 'r')); } catch {}
const terminal = { term: 'xterm', cols: 80, rows: 24, modes: {} };
for (const each of [undefined, terminal]) {
  await runCommand({
    command: { file: '/bin/sh', args: ['-c', 'true'] },
    env: {}, cwd: '/', terminal: each, tell: () => {},
  }).then(() => console.log('started'), (error) => console.log(error.message));
}
for (const fd of full) closeSync(fd);
const again = await runCommand({
  command: { file: '/bin/sh', args: ['-c', 'exit 3'] },
  env: {}, cwd: '/', terminal: undefined, tell: () => {},
});
again.stdout.resume();
again.stderr.resume();
console.log((await again.exited).code);
// Node's own timers of what could not be started go on for seconds.
process.exit();
`;

test('too many open files end one session with a sentence, and not the agent', async () => {
  const { code, stdout, stderr } = await run('sh', [
    ...[
      '-c',
      'ulimit -n 64; exec "$0" --disable-warning=ExperimentalWarning --input-type=module -e "$1"',
    ],
    ...[process.execPath, FULL],
  ]);
  assert.equal(code, 0, stderr);
  const sentence = 'cannot start /bin/sh: too many files are open in the workload.';
  assert.deepEqual(stdout.trim().split('\n'), [sentence, sentence, '3']);
});
