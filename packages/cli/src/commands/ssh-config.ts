import type { Command } from 'commander';
import type { SshConfigOptions } from '../ssh/ssh-config.ts';

export function register(program: Command): void {
  program
    .command('ssh-config')
    .summary('let ssh, and what builds on it, reach workspaces as <name>.burrow')
    .description(
      'Puts one Include line at the top of your ~/.ssh/config, so that `ssh demo.burrow` just works, also from scp, rsync, git and VS Code Remote-SSH. Makes a key that never leaves this machine. May be run again at any time.',
    )
    .option('--remove', 'take it out again')
    .option('--print', 'show what would be written, and write nothing')
    .option('--ssh-dir <folder>', 'another folder than ~/.ssh')
    .action(async (options: SshConfigOptions) => {
      const { sshConfig } = await import('../ssh/ssh-config.ts');
      await sshConfig(options);
    });
}
