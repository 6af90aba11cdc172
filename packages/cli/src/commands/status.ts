import type { Command } from 'commander';
import { print, printJson, table } from '../output.ts';
import { readSettings } from '../settings/settings.ts';

export function register(program: Command): void {
  program
    .command('status')
    .alias('whoami')
    .summary('who you are, and on which relay')
    .option('--json', 'for scripts')
    .action(async (options: { readonly json?: boolean }) => {
      const { apiOf, explained } = await import('../relay/api.ts');
      const settings = readSettings();
      const { username, admin, id } = await explained(apiOf(settings).user.show());
      if (options.json === true) {
        return printJson({ url: settings.url.origin, user: { id, username, admin } });
      }
      print(
        table([
          ['Relay', settings.url.origin],
          ['User', admin ? `${username} (administrator)` : username],
        ]).trimEnd(),
      );
    });
}
