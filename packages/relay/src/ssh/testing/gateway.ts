/** A gateway with people and workloads made up, and OpenSSH's client to try it. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { MessagePort } from 'node:worker_threads';
import { fingerprintOf, generateHostKey, SERVER_ALGORITHMS, tune, type HostKey } from '@burrow/ssh';
import type { Channel, HelloInfo } from '@burrow/tunnel';
import { acceptPort } from '@burrow/tunnel/message-port';
import { channelToDuplex } from '@burrow/tunnel/node';
import { TEST_HELLO, TEST_WELCOME } from '@burrow/tunnel/testing';
import ssh2 from 'ssh2';
import type { Principal } from '../../auth/principal.ts';
import type { WorkspaceRoute } from '../../control/directory.ts';
import { createSshGateway, type SshGateway, type SshGatewayOptions } from '../gateway.ts';
import type { AuthorityDeps, SshEvent } from '../relay-authority.ts';

export const ANN: Principal = { userId: 'u-ann', username: 'ann', admin: false };
export const TOKEN = 'burrow_pat_good';

export interface TestGateway extends AsyncDisposable {
  readonly gateway: SshGateway;
  readonly port: number;
  readonly events: SshEvent[];
  /** What was logged as an error. */
  readonly errors: string[];
  /** Lets the gateway's thread fail, as a fault in it would. */
  crash(): Promise<void>;
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

export interface SshOptions {
  readonly identity?: string | undefined;
  readonly input?: string | Buffer;
  readonly options?: readonly string[];
  readonly onChild?: (child: ChildProcess) => void;
}

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function route(name: string): WorkspaceRoute {
  return {
    id: `w-${name}`,
    name,
    ownerId: ANN.userId,
    agentId: `a-${name}`,
    state: 'running',
    editorPort: 60_001,
    ports: new Map(),
    agentLastSeen: undefined,
  };
}

/** Runs commands, to stand for the agent's server: admits what the channel names. */
function workloadServer(key: HostKey, channel: Channel): void {
  const { target } = channel;
  if (target.kind !== 'ssh') return channel.reset('unsupported', 'Only ssh here.');
  const server = new ssh2.Server(
    { hostKeys: [key.privateKey], algorithms: { ...SERVER_ALGORITHMS } },
    (connection) => {
      tune(connection);
      connection.on('error', () => {});
      connection.on('authentication', (context) => {
        if (context.method !== 'publickey') return context.reject(['publickey']);
        const admitted = target.authorizedKeys.includes(fingerprintOf(context.key.data));
        return admitted ? context.accept() : context.reject(['publickey']);
      });
      connection.on('session', (accept) => {
        accept().on('exec', (acceptExec, _reject, { command }) => {
          const stream = acceptExec();
          const child = spawn('sh', ['-c', command], { stdio: 'pipe' });
          stream.pipe(child.stdin).on('error', () => {});
          child.stdout.pipe(stream, { end: false });
          child.stderr.pipe(stream.stderr, { end: false });
          stream.on('close', () => child.kill('SIGKILL'));
          child.on('close', (code, signal) => {
            if (signal === null) stream.exit(code ?? 0);
            else stream.exit(signal.slice(3));
            stream.end();
          });
        });
      });
    },
  );
  server.injectSocket(channelToDuplex(channel) as never);
  channel.accept();
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
    routes: new Map([['demo', route('demo')]]),
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
  const errors: string[] = [];
  const threads: MessagePort[] = [];
  const deps: AuthorityDeps = {
    now: Date.now,
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
      take: async () => (known.attemptsLeft-- > 0 ? 0 : 30),
      giveBack: () => void known.attemptsLeft++,
      failed: async () => {},
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
    ...front,
    deps,
    admitLink: (port: MessagePort) => {
      threads.push(port);
      void acceptPort(port, {
        welcome: () => TEST_WELCOME,
        handler: {
          onChannel(channel) {
            channels.push(channel);
            workloadServer(workloadKey, channel);
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

export function run(
  command: string,
  args: readonly string[],
  options: SshOptions = {},
): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: 'pipe' });
    options.onChild?.(child);
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
    child.stdin.on('error', () => {});
    child.stdin.end(options.input ?? '');
    const late = setTimeout(() => child.kill('SIGKILL'), 30_000);
    child.on('error', reject);
    child.on('close', (code) => {
      clearTimeout(late);
      resolve({
        code,
        stdout: Buffer.concat(stdout).toString(),
        stderr: Buffer.concat(stderr).toString(),
      });
    });
  });
}
