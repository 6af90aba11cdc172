import type { Command } from 'commander';

interface Verb {
  register(program: Command): void;
}

/**
 * Every verb and the file it lives in, in the order of the help. Only the one that is
 * asked for is loaded: `ssh` waits for `ssh-proxy` on every connection.
 */
export const VERBS: Readonly<Record<string, () => Promise<Verb>>> = {
  login: () => import('./commands/login.ts'),
  logout: () => import('./commands/logout.ts'),
  status: () => import('./commands/status.ts'),
  list: () => import('./commands/list.ts'),
  create: () => import('./commands/create.ts'),
  terminate: () => import('./commands/terminate.ts'),
  ssh: () => import('./commands/ssh.ts'),
  'ssh-config': () => import('./commands/ssh-config.ts'),
  'ssh-proxy': () => import('./commands/ssh-proxy.ts'),
  'ssh-known-hosts': () => import('./commands/ssh-known-hosts.ts'),
  'port-forward': () => import('./commands/port-forward.ts'),
  keys: () => import('./commands/keys.ts'),
  cluster: () => import('./commands/cluster.ts'),
  trace: () => import('./commands/trace.ts'),
};

const ALIASES: Readonly<Record<string, string>> = { whoami: 'status' };

/** Registers the verb that the arguments name; all of them, for help and for what there is not. */
export async function registerVerbs(program: Command, argv: readonly string[]): Promise<void> {
  const first = argv[0] ?? '';
  const load = VERBS[ALIASES[first] ?? first];
  const loads = load === undefined ? Object.values(VERBS) : [load];
  for (const verb of await Promise.all(loads.map((each) => each()))) verb.register(program);
}
