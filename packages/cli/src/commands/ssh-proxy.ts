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
      '--key <fingerprint|file...>',
      'keys that the workspace is to admit: SHA256:…, or a .pub file. Default: your usual ones. Those of your account always are.',
    )
    .option('--tcp-port <port>', 'a TCP port in the workspace instead of its SSH server')
    .action(async (host: string, options: Options) => {
      const { sshProxy } = await import('../ssh/proxy.ts');
      await sshProxy(host, options.key, options.tcpPort);
    });
}
