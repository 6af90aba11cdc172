import type { Command } from 'commander';
import { printJson, table, tell } from '../output.ts';
import { readSettings } from '../settings/settings.ts';
import { SUFFIX } from '../ssh/host-name.ts';

export function register(program: Command): void {
  program
    .command('list')
    .alias('ls')
    .summary('your workspaces')
    .option('--json', 'for scripts: as the API gives them')
    .action(async (options: { readonly json?: boolean }) => {
      const { apiOf, explained } = await import('../relay/api.ts');
      const workspaces = await explained(apiOf(readSettings()).workspaces.list());
      if (options.json === true) return printJson(workspaces);
      if (workspaces.length === 0)
        return tell('You have no workspaces yet: `burrow create` makes one.');
      process.stdout.write(
        table([
          ['NAME', 'STATE', 'SSH HOST', 'EDITOR'],
          ...workspaces.map(({ name, state, url }) => [name, state, name + SUFFIX, url]),
        ]),
      );
    });
}
