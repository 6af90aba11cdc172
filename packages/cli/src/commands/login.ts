import type { Command } from 'commander';

interface Options {
  readonly caFile?: string;
  readonly plaintext?: boolean;
}

export function register(program: Command): void {
  program
    .command('login')
    .summary('sign in to a relay with a personal access token')
    .description(
      'Signs in to a relay. The personal access token is asked for without showing it, or read from standard input; it is checked, then kept for you alone (mode 0600).',
    )
    .argument('<url>', 'your relay, such as https://burrow.example.com')
    .option('--ca-file <file>', 'PEM file of the authority that signed the relay’s certificate')
    .option('--plaintext', 'allow a URL without TLS on another machine: others can read the token')
    .action(async (url: string, options: Options) => {
      const { login } = await import('../settings/login.ts');
      await login(url, options);
    });
}
