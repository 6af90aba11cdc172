#!/usr/bin/env node
// `burrow …`: runs on whatever Node is installed, and hands over to the
// project's own where that is too old.
import { spawn } from 'node:child_process';
// By default import: older versions lack what is used of it below.
import module from 'node:module';
import { existsSync } from 'node:fs';
import { constants, homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { NEEDED_MAJOR, projectNode, ROOT } from './lib/project-node.mjs';

const args = process.argv.slice(2);

if (!existsSync(join(ROOT, 'node_modules/commander'))) {
  process.stderr.write(`burrow: its packages are missing. Run \`npm install\` in ${ROOT} first.\n`);
  process.exit(1);
}

/** The relay is a room of its own that no other may import: so it is chosen here. */
const [script, rest] =
  args[0] === 'relay'
    ? [join(ROOT, 'packages/relay/src/main.ts'), args.slice(1)]
    : [join(ROOT, 'packages/cli/src/main.ts'), args];

if (Number(process.versions.node.split('.')[0]) >= NEEDED_MAJOR) {
  // ssh waits for this program at every connection: with what was compiled before, half as long.
  module.enableCompileCache(
    join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'burrow'),
  );
  const { main } = await import(script);
  process.exitCode = await main(rest);
} else {
  const node = projectNode();
  if (node === undefined) {
    process.stderr.write(
      `burrow needs Node ${NEEDED_MAJOR} or newer; this is ${process.version}. Run \`npm install\` in ${ROOT} first.\n`,
    );
    process.exit(1);
  }
  const child = spawn(
    node,
    ['--disable-warning=ExperimentalWarning', fileURLToPath(import.meta.url), ...args],
    {
      stdio: 'inherit',
    },
  );
  // From a terminal the child hears Ctrl-C by itself.
  for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT']) {
    process.on(signal, () => {
      if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal);
    });
  }
  child.on('error', (error) => {
    process.stderr.write(`burrow: cannot start ${node}: ${error.message}\n`);
    process.exit(1);
  });
  child.on('exit', (code, signal) => {
    process.exit(code ?? 128 + (constants.signals[signal] ?? 0));
  });
}
