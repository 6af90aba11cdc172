import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AuditEventList } from '@burrow/api';
import { ROOT } from '../../../../scripts/lib/project-node.mjs';
import type { AgentProcess } from '../../../harness/agent-process.ts';
import { startBurrow, type Burrow, type BurrowOptions } from '../../../harness/burrow.ts';
import { endSsh } from '../../../harness/end-ssh.ts';
import { eventually } from '../../../harness/eventually.ts';
import { run, type Ran, type RunOptions } from '../../../harness/run.ts';
import { startSshd, type Sshd } from '../../../harness/sshd.ts';

export type AuditEvent = AuditEventList['events'][number];

/** `gateway`: ssh to the relay; `jump`: through `burrow@`; `proxy`: by `burrow ssh-proxy`. The last two are end to end. */
export const WAYS = ['gateway', 'jump', 'proxy'] as const;
export type Way = (typeof WAYS)[number];

/** The workspaces: `demo` is served by the agent itself, `real` by OpenSSH's sshd beside the agent. */
export const SERVERS = ['demo', 'real'] as const;
export type Server = (typeof SERVERS)[number];

/** What a way and a server are called in the configuration of ssh. */
export const hostOf = (way: Way, server: Server): string => `${way}-${server}`;

/** A relay with its SSH gateway, agents as processes, and the configuration of an ssh that knows every way in. */
export interface Stand extends AsyncDisposable {
  readonly burrow: Burrow;
  /** Of the gateway. */
  readonly port: number;
  readonly gatewayHostKey: string;
  readonly sshd: Sshd | undefined;
  /** For files, and HOME of everything that runs. Short: sockets lie in it. */
  readonly home: string;
  /** `ssh -F` of it. Its hosts: `hostOf`, and `relay` for `burrow@`. */
  readonly config: string;
  /** A private key whose public half is in the administrator's account, as `keyId`. */
  readonly identity: string;
  readonly keyId: string;
  readonly env: Readonly<Record<string, string>>;
  readonly agents: Readonly<Partial<Record<Server, AgentProcess>>>;
  ssh(args: readonly string[], options?: RunOptions): Promise<Ran>;
  tool(name: string, args: readonly string[], options?: RunOptions): Promise<Ran>;
  /** The command line. */
  cli(args: readonly string[], options?: RunOptions): Promise<Ran>;
  /** A program that goes on; ended with the stand at the latest. */
  start(name: string, args: readonly string[], env?: Readonly<Record<string, string>>): Started;
  /** A master that later calls with the same path share (`-o ControlPath=…`). */
  master(host: string): Promise<Master>;
  audit(query?: string): Promise<readonly AuditEvent[]>;
  /** An event that is written within a second, or rejects naming what there is instead. */
  audited(what: string, match: (event: AuditEvent) => boolean): Promise<AuditEvent>;
  /** Waits until no channel, sign-in or connection is left. */
  idle(): Promise<void>;
}

export interface Started {
  readonly child: ChildProcess;
  readonly said: { out: string; error: string };
  readonly exited: Promise<number | null>;
}

export interface Master extends AsyncDisposable {
  /** Options for the ssh that joins. */
  readonly options: readonly string[];
}

export interface StandOptions {
  readonly servers?: readonly Server[];
  readonly config?: BurrowOptions['config'];
  /** Leads agents another way to the relay. */
  readonly agentUrl?: (port: number) => string;
}

const SCRIPT = join(ROOT, 'scripts/burrow.mjs');
export const BURROW = `'${process.execPath}' '${SCRIPT}'`;

export async function startStand(options: StandOptions = {}): Promise<Stand> {
  const servers = options.servers ?? SERVERS;
  await using stack = new AsyncDisposableStack();
  const home = mkdtempSync(join(tmpdir(), 'bs-'));
  stack.defer(() => rmSync(home, { recursive: true, force: true }));
  const burrow = stack.use(
    await startBurrow({
      ...options,
      config: { ...options.config, ssh: { enabled: true, port: 0, ...options.config?.ssh } },
    }),
  );
  const { port, hostKey: gatewayHostKey } = gatewayOf(burrow);
  const sshd = servers.includes('real') ? stack.use(await sshdOf(burrow, home)) : undefined;
  const identity = sshd?.identity ?? join(home, 'identity');
  if (sshd === undefined) {
    await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', identity]);
  }
  const keyId = await addKey(burrow, `${identity}.pub`);

  const agents: Partial<Record<Server, AgentProcess>> = {};
  for (const server of servers) {
    await burrow.createWorkspace(server);
    agents[server] = await burrow.startAgent(server, {
      HOME: home,
      ...(options.agentUrl === undefined
        ? {}
        : { BURROW_RELAY_URL: options.agentUrl(burrow.port) }),
      ...(server === 'demo' || sshd === undefined
        ? {}
        : {
            BURROW_AGENT_SSH: 'sshd',
            BURROW_AGENT_SSHD_PORT: String(sshd.port),
            BURROW_AGENT_SSHD_USER: sshd.user,
          }),
    });
  }

  const known = [`relay ${gatewayHostKey}`];
  for (const server of servers) {
    const { ssh } = await burrow.showWorkspace(server);
    known.push(`${server}.burrow ${ssh.hostKey}`);
  }
  writeFileSync(join(home, 'known_hosts'), `${known.join('\n')}\n`);
  const config = join(home, 'config');
  writeFileSync(config, sshConfig({ home, identity, port, servers, user: sshd?.user ?? 'any' }));

  const env = {
    HOME: home,
    TMPDIR: home,
    // What was compiled for one test serves the next.
    XDG_CACHE_HOME: join(tmpdir(), 'burrow-test-cache'),
    BURROW_URL: burrow.url,
    BURROW_TOKEN: burrow.token,
  };
  const tool: Stand['tool'] = (name, args, more = {}) =>
    run(name, args, { withinMs: 60_000, ...more, env: { ...env, ...more.env } });
  const processes = stack.use(new AsyncDisposableStack());
  const start: Stand['start'] = (name, args, more = {}) => {
    const child = spawn(name, args, {
      env: { PATH: process.env['PATH'] ?? '', ...env, ...more },
      stdio: 'pipe',
    });
    const said = { out: '', error: '' };
    child.stdin.on('error', () => {});
    child.stdout.setEncoding('utf8').on('data', (text: string) => (said.out += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (said.error += text));
    const exited = once(child, 'close').then(([code]) => code as number | null);
    processes.defer(() => {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    });
    return { child, said, exited };
  };
  const audit: Stand['audit'] = async (query = '') =>
    (await burrow.send(`/api/v1/audit-events?limit=200${query}`)).json<AuditEventList>().events;

  const kept = stack.move();
  return {
    burrow,
    port,
    gatewayHostKey,
    sshd,
    home,
    config,
    identity,
    keyId,
    env,
    agents,
    tool,
    start,
    audit,
    ssh: (args, more) => tool('ssh', ['-F', config, ...args], more),
    cli: (args, more) => tool(process.execPath, [SCRIPT, ...args], more),
    async master(host) {
      const shared = ['-o', `ControlPath=${join(home, `m-${host}`)}`];
      const { child, exited, said } = start('ssh', [
        ...['-F', config, ...shared, '-o', 'ControlMaster=yes', '-N', host],
      ]);
      await eventually(`the master of ${host} is up`, async () => {
        if (child.exitCode !== null) throw new Error(said.error);
        return (await tool('ssh', ['-F', config, ...shared, '-O', 'check', host])).code === 0;
      });
      return {
        options: shared,
        async [Symbol.asyncDispose]() {
          await endSsh(child, exited);
        },
      };
    },
    async audited(what, match) {
      try {
        return await eventually(what, async () => (await audit()).find(match), 5_000);
      } catch (cause) {
        const events = (await audit()).slice(0, 12);
        throw new Error(`No event: ${what}. There are: ${JSON.stringify(events, null, 1)}`, {
          cause,
        });
      }
    },
    idle: () => idle(burrow),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

export function gatewayOf(burrow: Burrow): { port: number; hostKey: string } {
  const { ssh } = burrow.relay;
  assert.ok(ssh, 'the relay serves SSH');
  return ssh;
}

/** The key's id. */
export async function addKey(burrow: Burrow, file: string, token?: string): Promise<string> {
  const answer = await burrow.send('/api/v1/user/keys', {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(token === undefined ? {} : { 'burrow-authorization': `Bearer ${token}` }),
    },
    body: JSON.stringify({ title: 'tests', key: readFileSync(file, 'utf8').trim() }),
  });
  assert.equal(answer.status, 201, answer.text);
  return answer.json<{ id: string }>().id;
}

async function sshdOf(burrow: Burrow, home: string): Promise<Sshd> {
  const { publicKey } = (await burrow.send('/api/v1/ssh/user-ca')).json<{ publicKey: string }>();
  const ca = join(home, 'ca.pub');
  writeFileSync(ca, `${publicKey}\n`);
  // What the shell of this user does at its start is not what is tried here.
  return startSshd([`TrustedUserCAKeys ${ca}`, `SetEnv HOME=${home}`, 'AcceptEnv LANG LC_*']);
}

function sshConfig(facts: {
  home: string;
  identity: string;
  port: number;
  servers: readonly Server[];
  user: string;
}): string {
  const { home, identity, port, servers, user } = facts;
  const relay = ['HostName 127.0.0.1', `Port ${port}`, 'HostKeyAlias relay'];
  const hosts: [string, string[]][] = [['relay', [...relay, 'User burrow']]];
  for (const server of servers) {
    hosts.push(
      [hostOf('gateway', server), [...relay, `User ${server}`]],
      [hostOf('jump', server), [`HostName ${server}.burrow`, `User ${user}`, 'ProxyJump relay']],
      [
        hostOf('proxy', server),
        [
          `HostName ${server}.burrow`,
          `User ${user}`,
          `ProxyCommand ${BURROW} ssh-proxy --key '${identity}.pub' %h`,
        ],
      ],
    );
  }
  const all: [string, string[]] = [
    '*',
    [
      'BatchMode yes',
      'IdentitiesOnly yes',
      `IdentityFile ${identity}`,
      'StrictHostKeyChecking yes',
      `UserKnownHostsFile ${join(home, 'known_hosts')}`,
      'GlobalKnownHostsFile none',
    ],
  ];
  return [...hosts, all]
    .map(([host, lines]) => `Host ${host}\n${lines.map((line) => `  ${line}\n`).join('')}`)
    .join('\n');
}

/** What `GET /metrics` says, without labels (their sum). */
export async function metric(burrow: Burrow, name: string): Promise<number> {
  const { text } = await burrow.send('/metrics');
  const lines = [...text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'gm'))];
  assert.ok(lines.length > 0, `there is no metric ${name}`);
  return lines.reduce((sum, [, value]) => sum + Number(value), 0);
}

async function idle(burrow: Burrow): Promise<void> {
  await eventually('no channel is open, and nobody is signed in by SSH', async () => {
    assert.equal(await metric(burrow, 'burrow_channels'), 0, 'channels');
    assert.equal(await metric(burrow, 'burrow_ssh_signed_in'), 0, 'people signed in by SSH');
    assert.equal(await metric(burrow, 'burrow_client_links'), 0, 'links of people’s programs');
    return true;
  });
}
