import type { Command } from 'commander';
import { print } from '../output.ts';
import { removeSettings } from '../settings/settings.ts';

export function register(program: Command): void {
  program
    .command('logout')
    .summary('forget the token')
    .description(
      'Forgets the token on this machine. It stays good for others who have it: revoke it on the relay if it may be known.',
    )
    .action(() => {
      print(
        removeSettings()
          ? 'Signed out: the token is gone from this machine.'
          : 'You were not signed in.',
      );
    });
}
