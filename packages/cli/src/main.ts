import { Command, CommanderError } from 'commander';
import { CliError, EXIT } from './cli-error.ts';
import { plainText } from './plain-text.ts';
import { registerVerbs } from './verbs.ts';
import { VERSION } from './version.ts';

/** `burrow …`. Resolves with the exit code. `argv` without node and script. */
export async function main(argv: readonly string[]): Promise<number> {
  const program = new Command('burrow')
    .description('VS Code, SSH, terminals and ports inside workloads that nobody can reach.')
    .version(VERSION)
    .enablePositionalOptions()
    .exitOverride();
  try {
    await registerVerbs(program, argv);
    // Only for the help: the launcher runs the relay, which no other package may import.
    program
      .command('relay')
      .description('run the relay, or print its configuration: burrow relay --help');
    if (argv.length === 0) program.help();
    await program.parseAsync(argv, { from: 'user' });
    return typeof process.exitCode === 'number' ? process.exitCode : EXIT.ok;
  } catch (error) {
    if (error instanceof CommanderError) {
      return error.exitCode === 0 || argv.length === 0 ? EXIT.ok : EXIT.usage;
    }
    const message = error instanceof Error ? error.message : String(error);
    process.stderr.write(`burrow: ${plainText(message)}\n`);
    return error instanceof CliError ? error.exitCode : EXIT.failed;
  }
}
