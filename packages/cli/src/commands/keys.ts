import type { Command } from 'commander';

interface Json {
  readonly json?: boolean;
}

export function register(program: Command): void {
  const keys = program
    .command('keys')
    .summary('the SSH keys of your account')
    .description(
      'The public keys of your account. With them the relay’s SSH gateway knows you, and workspaces admit you.',
    );
  keys
    .command('list')
    .description('list them')
    .option('--json', 'for scripts: as the API gives them')
    .action(async (options: Json) => {
      await (await import('../keys/keys.ts')).listKeys(options.json === true);
    });
  keys
    .command('add')
    .description('add a public key')
    .argument('<file>', 'a .pub file; - reads standard input')
    .option('--title <title>', 'to recognise it by; default: its comment, or the file’s name')
    .option('--expires-in-days <days>', 'it signs nobody in from then on')
    .option('--json', 'for scripts: as the API gives it')
    .action(async (file: string, options: Json & { title?: string; expiresInDays?: string }) => {
      await (await import('../keys/keys.ts')).addKey(file, options);
    });
  keys
    .command('remove')
    .description('remove a key: what is signed in with it ends at once')
    .argument('<key>', 'its id, fingerprint (SHA256:…) or title')
    .action(async (key: string) => {
      await (await import('../keys/keys.ts')).removeKey(key);
    });
}
