import type { Command } from 'commander';

export interface TerminateOptions {
  readonly yes?: boolean;
}

export function register(program: Command): void {
  program
    .command('terminate')
    .summary('end a workspace for good')
    .description(
      'Ends a workspace for good: its agent’s token is revoked, and what is open in it is cut at once. What lies in the workload stays there.',
    )
    .argument('<workspace>')
    .option('-y, --yes', 'do not ask')
    .action(async (name: string, options: TerminateOptions) => {
      await (await import('../workspaces/terminate.ts')).terminateWorkspace(name, options);
    });
}
