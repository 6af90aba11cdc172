// The door of every command of this project. Runs on the Node that happens to
// be installed (20 or newer) with no package present; brings what is missing,
// then hands over to the project's own Node.
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { delimiter, join } from 'node:path';
import { installPackages } from './lib/install-packages.mjs';
import { cleanEnvironment } from './lib/npm.mjs';
import { NEEDED_MAJOR, projectNode, ROOT } from './lib/project-node.mjs';
import { RELAY_NODE_FLAGS } from './lib/relay-flags.mjs';

const COMMANDS = {
  start: 'scripts/start.ts',
  cluster: 'scripts/cluster.ts',
  test: 'scripts/test.ts',
  bench: 'bench/main.ts',
  'build-agent': 'scripts/build-agent.mjs',
};

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'];
/** How often we look whether npm is still there. */
const STARTER_LOOK_MS = 500;

function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}

const [command, ...args] = process.argv.slice(2);
const script = COMMANDS[command];
if (script === undefined)
  fail(`Unknown command "${command ?? ''}". Known: ${Object.keys(COMMANDS).join(', ')}.`);

// npm passes SIGINT and SIGTERM on to us (which `exec` in package.json is for); when it is killed it cannot.
const starter = process.ppid;
if (process.env.npm_lifecycle_event !== undefined) {
  const watch = setInterval(() => {
    if (process.ppid === starter) return;
    clearInterval(watch);
    process.kill(process.pid, 'SIGTERM');
  }, STARTER_LOOK_MS).unref();
}

const stop = new AbortController();
const stopInstalling = (signal) => {
  stop.abort();
  // npm is asked to stop; the conventional code says which signal ended us.
  setTimeout(() => process.exit(128 + (constants.signals[signal] ?? 0)), 500);
};
for (const signal of SIGNALS) process.once(signal, stopInstalling);
try {
  await installPackages(ROOT, stop.signal);
} catch (error) {
  if (!stop.signal.aborted) fail(`The packages could not be installed. ${error.message}`);
  await new Promise(() => undefined); // the handler above ends the process
}
for (const signal of SIGNALS) process.off(signal, stopInstalling);

const node = projectNode();
if (node === undefined) {
  fail(
    `Burrow needs Node ${NEEDED_MAJOR} or newer; this is ${process.version}, and there is no packaged Node for ` +
      `${process.platform}-${process.arch}. Install Node ${NEEDED_MAJOR} and run the same command with it.`,
  );
}

const env = cleanEnvironment();
env.PATH = `${join(ROOT, 'node_modules/.bin')}${delimiter}${env.PATH ?? ''}`;
const flags = command === 'start' ? RELAY_NODE_FLAGS : ['--disable-warning=ExperimentalWarning'];
const child = spawn(node, [...flags, join(ROOT, script), ...args], {
  cwd: process.cwd(),
  env: { ...env, BURROW_PARENT_FD: '3' },
  // The fourth is a lifeline: it closes when this process ends, however it ends.
  stdio: ['inherit', 'inherit', 'inherit', 'pipe'],
});
// From a terminal the child hears Ctrl-C itself as well; it takes the two for one.
for (const signal of SIGNALS) process.on(signal, () => child.kill(signal));
child.once('error', (error) => fail(`${node} could not be started: ${error.message}`));
child.once('exit', (code, signal) => {
  if (signal === null) process.exit(code ?? 1);
  for (const name of SIGNALS) process.removeAllListeners(name);
  process.kill(process.pid, signal);
});
