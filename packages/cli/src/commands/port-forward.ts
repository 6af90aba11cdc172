import type { Command } from 'commander';
import type { PortForwardOptions } from '../forward/port-forward.ts';

export function register(program: Command): void {
  program
    .command('port-forward')
    .summary('reach TCP ports of a workspace on this machine')
    .description(
      'Listens on this machine, and passes each connection on to a TCP port of the workspace’s loopback, until Ctrl-C. Connections go on when the network changes or a relay restarts.',
    )
    .argument('<workspace>', 'its name, or <name>.burrow')
    .argument(
      '<ports...>',
      'REMOTE, LOCAL:REMOTE, or :REMOTE for any free port here; may be repeated',
    )
    .option(
      '--address <address>',
      'the address to listen on; on others than 127.0.0.1 or ::1 your network reaches the workspace as you',
    )
    .option('--json', 'for scripts: one line of JSON for each port that listens')
    .addHelpText(
      'after',
      '\nExamples:\n  burrow port-forward demo 3000\n  burrow port-forward demo 8080:3000 5432\n  burrow port-forward demo :3000 --json\n',
    )
    .action(async (workspace: string, ports: readonly string[], options: PortForwardOptions) => {
      const { portForward } = await import('../forward/port-forward.ts');
      await portForward(workspace, ports, options);
    });
}
