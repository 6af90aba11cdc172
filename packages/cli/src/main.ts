import { Command, CommanderError } from 'commander';
import { createRequire } from 'node:module';

const { version } = createRequire(import.meta.url)('../package.json') as { version: string };

/** `burrow …`. Resolves with the exit code. `argv` without node and script. */
export async function main(argv: readonly string[]): Promise<number> {
  const program = new Command('burrow')
    .description('VS Code, terminals and ports inside workloads that nobody can reach.')
    .version(version)
    .exitOverride();
  // Only for the help: the launcher runs the relay, which no other package may import.
  program
    .command('relay')
    .description('run the relay, or print its configuration: burrow relay --help');
  try {
    if (argv.length === 0) program.help();
    await program.parseAsync(argv, { from: 'user' });
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 || argv.length === 0 ? 0 : 2;
    process.stderr.write(`burrow: ${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  }
}
