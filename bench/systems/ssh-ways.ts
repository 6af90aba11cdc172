/**
 * Three ways to a shell on this machine with the same client and the same
 * algorithms on every leg: OpenSSH's own server, Burrow's gateway, and end to
 * end through Burrow.
 */
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Child } from '../lib/child.ts';
import { AGENT_BUNDLE, agentEnvironment, type Burrow } from './burrow.ts';
import type { SshServer } from './ssh.ts';

const BURROW = join(import.meta.dirname, '../../scripts/burrow.mjs');
/** For the agent to tell of its SSH server, and the relay to show it. */
const REPORT_MS = 10_000;

export const SSH_HOSTS = ['direct', 'gateway', 'e2e'] as const;
export type SshHost = (typeof SSH_HOSTS)[number];

/** `ssh -F config NAME …` with this environment. */
export interface SshWay {
  readonly host: SshHost;
  readonly config: string;
  readonly env: Readonly<Record<string, string>>;
}

/** What every configuration calls its one host. */
export const NAME = 'workload';

export interface SshWays extends AsyncDisposable {
  /** Rejects with a sentence while a part of the way is missing. */
  to(host: SshHost): Promise<SshWay>;
  /** Of the relay and the agent behind `gateway` and `e2e`. */
  processes(): Promise<{ readonly relay: number; readonly agent: number }>;
}

/** What all ways share: nothing of this machine's own configuration, host keys known from the first connection. */
function common(key: string, knownHosts: string): string[] {
  return [
    `Host ${NAME}`,
    'Ciphers aes128-gcm@openssh.com',
    'KexAlgorithms curve25519-sha256',
    'HostKeyAlgorithms ssh-ed25519',
    'Compression no',
    `IdentityFile ${key}`,
    'IdentitiesOnly yes',
    'IdentityAgent none',
    'PreferredAuthentications publickey',
    'BatchMode yes',
    'StrictHostKeyChecking yes',
    `UserKnownHostsFile ${knownHosts}`,
    'GlobalKnownHostsFile none',
    `HostKeyAlias ${NAME}`,
    'UpdateHostKeys no',
    'ControlPath none',
    'LogLevel ERROR',
    // OpenSSH 9.5 and newer would hold every keystroke back for up to 20 ms.
    'IgnoreUnknown ObscureKeystrokeTiming',
    'ObscureKeystrokeTiming no',
  ];
}

export function startSshWays(
  directory: string,
  server: SshServer,
  startRelay: () => Promise<Burrow>,
): SshWays {
  const key = join(server.directory, 'user');
  const stack = new AsyncDisposableStack();
  const once = new Map<string, Promise<unknown>>();
  const kept = <T>(name: string, start: () => Promise<T>): Promise<T> => {
    if (!once.has(name)) once.set(name, start());
    return once.get(name) as Promise<T>;
  };

  const way = (
    host: SshHost,
    hostKey: string,
    lines: readonly string[],
    env: SshWay['env'] = {},
  ): SshWay => {
    const folder = mkdtempSync(join(directory, `ssh-${host}-`));
    writeFileSync(join(folder, 'known_hosts'), `${NAME} ${hostKey}\n`);
    const config = join(folder, 'config');
    writeFileSync(config, [...common(key, join(folder, 'known_hosts')), ...lines, ''].join('\n'), {
      mode: 0o600,
    });
    return { host, config, env };
  };

  const workload = () =>
    kept('workload', async () => {
      const relay = await startRelay();
      return stack.use(await startWorkspace(relay, directory, readFileSync(`${key}.pub`, 'utf8')));
    });

  const starts: Record<SshHost, () => Promise<SshWay>> = {
    direct: async () =>
      way('direct', server.hostKey, [
        'HostName 127.0.0.1',
        `Port ${server.port}`,
        `User ${userInfo().username}`,
      ]),
    gateway: async () => {
      const { relay, name } = await workload();
      return way('gateway', relay.ssh.hostKey, [
        'HostName 127.0.0.1',
        `Port ${relay.ssh.port}`,
        `User ${name}`,
      ]);
    },
    e2e: async () => {
      const { relay, name, hostKey } = await workload();
      return way('e2e', hostKey, [`ProxyCommand ${process.execPath} ${BURROW} ssh-proxy ${name}`], {
        BURROW_URL: `http://127.0.0.1:${relay.port}`,
        BURROW_TOKEN: relay.token,
      });
    },
  };

  return {
    to: (host) => kept(host, starts[host]),
    async processes() {
      const { relay, agent } = await workload();
      return { relay: relay.pid, agent };
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

interface Workspace extends AsyncDisposable {
  readonly relay: Burrow;
  readonly name: string;
  readonly hostKey: string;
  /** Process id. */
  readonly agent: number;
}

/** A workspace whose agent serves SSH to an account that knows this public key. */
async function startWorkspace(
  relay: Burrow,
  directory: string,
  publicKey: string,
): Promise<Workspace> {
  const name = 'ssh';
  await relay.client.user.addKey({ title: 'bench', key: publicKey.trim() });
  const created = await relay.client.workspaces.create({ name, driver: 'external' });
  const home = join(directory, `ssh-home-${relay.port}`);
  mkdirSync(home, { recursive: true });
  const agent = new Child(process.execPath, [AGENT_BUNDLE], {
    ...agentEnvironment(created, relay.port),
    // Where the agent keeps its host key: nothing is to stay behind.
    HOME: home,
    XDG_STATE_HOME: home,
  });
  const late = performance.now() + REPORT_MS;
  for (;;) {
    const { ssh } = await relay.client.workspaces.show(name);
    if (ssh.server !== 'none' && ssh.hostKey !== null) {
      return {
        relay,
        name,
        hostKey: ssh.hostKey,
        agent: agent.pid,
        [Symbol.asyncDispose]: () => agent.stop(),
      };
    }
    if (performance.now() > late) {
      await agent.stop();
      throw new Error(
        `the agent reported no SSH server within ${REPORT_MS / 1000} s: does ${AGENT_BUNDLE} have one? It said:\n${agent.said}`,
      );
    }
    await sleep(20);
  }
}
