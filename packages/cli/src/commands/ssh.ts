import type { Command } from 'commander';

export function register(program: Command): void {
  program
    .command('ssh')
    .summary('open a shell in a workspace, or run a command there')
    .description(
      'Runs this machine’s ssh to a workspace, end to end encrypted, with a key made for this one connection and the host key that the workspace reported. Ends with ssh’s own exit code; 255 when the connection failed.',
    )
    .usage(
      '<workspace> [command...]\n       burrow ssh <workspace> -- <options of ssh...> [-- command...]',
    )
    .argument('<workspace>', 'its name, or <name>.burrow')
    .argument('[command...]', 'run there instead of a shell')
    .passThroughOptions()
    .allowUnknownOption()
    .addHelpText(
      'after',
      '\nExamples:\n  burrow ssh demo\n  burrow ssh demo make -C project test\n  burrow ssh demo -- -A -L 5432:localhost:5432\n  burrow ssh demo -- -t -- top\n',
    )
    .action(async (workspace: string, rest: readonly string[]) => {
      const { runSsh } = await import('../ssh/run-ssh.ts');
      process.exitCode = await runSsh(workspace, rest);
    });
}
