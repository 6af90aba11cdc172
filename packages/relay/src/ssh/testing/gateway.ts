/** A gateway with people and workloads made up, and OpenSSH's client to try it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import type { MessagePort } from 'node:worker_threads';
import { generateHostKey, type HostKey } from '@burrow/ssh';
import { run, serveCommands, type Ran, type RunOptions } from '@burrow/ssh/testing';
import type { Channel, ChannelErrorCode, HelloInfo } from '@burrow/tunnel';
import { acceptPort } from '@burrow/tunnel/message-port';
import { channelToDuplex } from '@burrow/tunnel/node';
import { TEST_HELLO, TEST_WELCOME } from '@burrow/tunnel/testing';
import type { Principal } from '../../auth/principal.ts';
import { ANN, route } from '../../clients/testing.ts';
import type { WorkspaceRoute } from '../../control/directory.ts';
import { createSshGateway, type SshGateway, type SshGatewayOptions } from '../gateway.ts';
import type { AuthorityDeps, SshEvent } from '../relay-authority.ts';

export const TOKEN = 'burrow_pat_good';

export interface TestGateway extends AsyncDisposable {
  readonly gateway: SshGateway;
  readonly port: number;
  readonly events: SshEvent[];
  /** What was logged as an error. */
  readonly errors: string[];
  /** Lets the gateway's thread fail, as a fault in it would. */
  crash(): Promise<void>;
  /** Takes the newest channel from under its SSH. */
  lose(code: ChannelErrorCode, reason: string): void;
  /** Mutable: what the other rooms know. */
  readonly known: {
    keys: Map<string, Principal>;
    tokens: Map<string, Principal>;
    routes: Map<string, WorkspaceRoute>;
    /** The agent of every workspace; undefined: gone. */
    hello: HelloInfo | undefined;
    approve: Principal | undefined;
    attemptsLeft: number;
  };
  /** Channels that were opened, in order. */
  readonly channels: Channel[];
  readonly workloadKey: HostKey;
  /** Private key file of Ann, registered. */
  readonly identity: string;
  readonly folder: string;
  ssh(user: string, args?: readonly string[], options?: SshOptions): Promise<Ran>;
}

export interface SshOptions extends RunOptions {
  readonly identity?: string | undefined;
  readonly options?: readonly string[];
}

/** Stands for the agent's server: admits what the channel names. */
function workloadServer(key: HostKey, channel: Channel): Duplex | undefined {
  const { target } = channel;
  if (target.kind !== 'ssh') {
    channel.reset('unsupported', 'Only ssh here.');
    return undefined;
  }
  const stream = channelToDuplex(channel);
  serveCommands(stream, { hostKey: key.privateKey, admits: target.authorizedKeys });
  channel.accept();
  return stream;
}

export async function startGateway(
  over: Partial<AuthorityDeps> = {},
  front: Partial<SshGatewayOptions> = {},
): Promise<TestGateway> {
  const folder = mkdtempSync(join(tmpdir(), 'burrow-ssh-gateway-'));
  const hostKey = generateHostKey();
  const workloadKey = generateHostKey();
  const annKey = generateHostKey();
  const identity = join(folder, 'id_ann');
  writeFileSync(identity, annKey.privateKey, { mode: 0o600 });
  const known: TestGateway['known'] = {
    keys: new Map([[annKey.fingerprint, ANN]]),
    tokens: new Map([[TOKEN, ANN]]),
    routes: new Map([['demo', route('demo', { agentLastSeen: undefined })]]),
    hello: {
      ...TEST_HELLO,
      revision: 1,
      minRevision: 1,
      capabilities: [],
      sshServer: 'built-in',
      sshHostKey: workloadKey.publicLine,
    },
    approve: undefined,
    attemptsLeft: 10,
  };
  const events: SshEvent[] = [];
  const channels: Channel[] = [];
  let last: Duplex | undefined;
  const errors: string[] = [];
  const threads: MessagePort[] = [];
  const deps: AuthorityDeps = {
    now: Date.now,
    remembered: async () => undefined,
    directory: { find: (name) => known.routes.get(name) },
    presence: () =>
      known.hello === undefined ? undefined : { links: 1, connectedSince: 0, hello: known.hello },
    waitFor: (_agent, signal) =>
      new Promise((_, reject) =>
        signal.addEventListener('abort', () => reject(signal.reason as Error)),
      ),
    agentWaitMs: 100,
    keyOwner: async (fingerprint) => known.keys.get(fingerprint),
    keyUsed: () => {},
    tokenOwner: async (token) => known.tokens.get(token),
    keysOf: async () => [...known.keys.keys()],
    attempts: {
      take: async () =>
        known.attemptsLeft-- > 0 ? undefined : { seconds: 30, counted: 'address' },
      giveBack: () => void known.attemptsLeft++,
      failed: async () => {},
      remember: async () => {},
      forgive: async () => void known.attemptsLeft++,
    },
    approvals: {
      begin: async () => ({
        approval: 'a1',
        url: 'https://burrow.test/ssh/approve',
        userCode: 'BCDF-GHJK',
      }),
      wait: async () => known.approve,
    },
    certificate: () => Promise.reject(new Error('none here')),
    workspacesOf: async () =>
      [...known.routes.values()].map(({ name, state }) => ({ name, state })),
    audit: (event) => events.push(event),
    ...over,
  };
  const gateway = createSshGateway({
    host: '127.0.0.1',
    port: 0,
    hostKeys: [hostKey.privateKey],
    software: 'Burrow_test',
    keysUrl: () => 'https://burrow.test/',
    handshakeMs: 20_000,
    ...front,
    deps,
    admitLink: (port: MessagePort) => {
      threads.push(port);
      void acceptPort(port, {
        welcome: () => TEST_WELCOME,
        handler: {
          onChannel(channel) {
            channels.push(channel);
            last = workloadServer(workloadKey, channel);
          },
          onClose() {},
        },
      });
    },
    log: { info() {}, error: (_fields, message) => errors.push(message) },
  });
  const port = await gateway.start();
  const knownHosts = join(folder, 'known_hosts');
  writeFileSync(
    knownHosts,
    `[127.0.0.1]:${port} ${hostKey.publicLine}\ndemo ${workloadKey.publicLine}\n`,
  );

  return {
    gateway,
    port,
    events,
    errors,
    async crash() {
      // Its thread does not survive the loss of its link.
      threads.at(-1)?.postMessage({ code: 'internal', reason: 'the test' });
    },
    lose(code, reason) {
      channels.at(-1)?.reset(code, reason);
      last?.destroy();
    },
    known,
    channels,
    workloadKey,
    identity,
    folder,
    ssh: (user, args = [], options = {}) =>
      run(
        'ssh',
        [
          ...baseOptions(knownHosts, 'identity' in options ? options.identity : identity),
          ...['-p', String(port), ...(options.options ?? []), `${user}@127.0.0.1`, ...args],
        ],
        options,
      ),
    async [Symbol.asyncDispose]() {
      await gateway.stop();
      rmSync(folder, { recursive: true });
    },
  };
}

/** Nothing of the machine's own configuration or agent; strict about host keys. */
export function baseOptions(
  knownHosts: string,
  identity: string | undefined,
  batch = true,
): string[] {
  return [
    ...['-F', 'none', '-o', `UserKnownHostsFile=${knownHosts}`, '-o', 'StrictHostKeyChecking=yes'],
    ...['-o', 'IdentitiesOnly=yes', '-o', 'IdentityAgent=none'],
    ...(batch ? ['-o', 'BatchMode=yes'] : []),
    ...(identity === undefined ? ['-o', 'IdentityFile=none'] : ['-i', identity]),
  ];
}
