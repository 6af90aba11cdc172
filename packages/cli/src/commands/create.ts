import type { Command } from 'commander';

export interface CreateOptions {
  readonly writeEnv?: string;
  readonly json?: boolean;
}

export function register(program: Command): void {
  program
    .command('create')
    .summary('make a workspace, and say how its agent is started')
    .description(
      'Makes a workspace. It is running once its agent is: one file, for Node 20 or newer, that is started wherever the workload is with what this prints. The agent’s token is shown once.',
    )
    .argument('[name]', 'lower-case letters, digits and dashes; made up when left out')
    // Not --env-file: Node takes that for its own, wherever it stands.
    .option(
      '--write-env <file>',
      'write the agent’s environment there (mode 0600), not to the screen',
    )
    .option('--json', 'for scripts: as the API gives it')
    .action(async (name: string | undefined, options: CreateOptions) => {
      await (await import('../workspaces/create.ts')).createWorkspace(name, options);
    });
}
