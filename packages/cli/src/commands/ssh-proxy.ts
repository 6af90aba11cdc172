import type { Command } from 'commander';

interface Options {
  readonly key?: readonly string[];
  readonly tcpPort?: string;
}

export function register(program: Command): void {
  program
    .command('ssh-proxy')
    .summary('connect standard input and output with a workspace’s SSH server (for ProxyCommand)')
    .description(
      'Connects standard input and output with the SSH server of a workspace, end to end: the relay passes on what it cannot read.\n\n  ssh -o ProxyCommand="burrow ssh-proxy %h" demo.burrow',
    )
    .argument('<host>', 'a workspace, or <workspace>.burrow')
    .option(
      '--key <fingerprint|file>',
      'a key that the workspace is to admit: SHA256:…, or a .pub file; may be repeated. Default: your usual ones. Those of your account always are.',
      // Not a list of its own: the host may follow.
      (key: string, before: readonly string[] | undefined): readonly string[] => [
        ...(before ?? []),
        key,
      ],
    )
    .option('--tcp-port <port>', 'a TCP port in the workspace instead of its SSH server')
    .action(async (host: string, options: Options) => {
      const { sshProxy } = await import('../ssh/proxy.ts');
      await sshProxy(host, options.key, options.tcpPort);
    });
}
