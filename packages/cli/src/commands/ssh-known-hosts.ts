import type { Command } from 'commander';

export function register(program: Command): void {
  program
    .command('ssh-known-hosts')
    .summary('print the host key of a workspace (for KnownHostsCommand)')
    .description(
      'Prints the SSH host key that a workspace has reported over its agent’s authenticated link, as a line of known_hosts. For other hosts than <workspace>.burrow it prints nothing.\n\n  ssh -o KnownHostsCommand="/path/to/burrow ssh-known-hosts %H" -o StrictHostKeyChecking=yes …',
    )
    .argument('<host>', '<workspace>.burrow')
    .action(async (host: string) => {
      const { knownHosts } = await import('../ssh/known-hosts.ts');
      process.stdout.write(await knownHosts(host));
    });
}
