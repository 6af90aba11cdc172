import { existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createClient, type Client, type CreatedWorkspace } from '@burrow/api';
import { RELAY_NODE_FLAGS } from '../../scripts/lib/relay-flags.mjs';
import { Child, run } from '../lib/child.ts';
import { freePort } from '../lib/free-port.ts';
import type { System } from '../scenario.ts';
import type { Workload } from './workload.ts';

/** What is measured: a checkout of the project, and the Node that runs it. */
export interface Build {
  readonly root: string;
  readonly node: string;
}

const THIS_BUILD: Build = { root: join(import.meta.dirname, '../..'), node: process.execPath };
/** The file that is shipped, not the sources. */
const agentBundle = (build: Build): string => join(build.root, 'dist/burrow-agent.mjs');
export const AGENT_BUNDLE = agentBundle(THIS_BUILD);

/** A relay as `npm start` runs it, in a process of its own, with a database on disk. */
export interface Burrow extends AsyncDisposable {
  readonly build: Build;
  readonly port: number;
  readonly pid: number;
  /** A personal access token, for requests and the REST API. */
  readonly token: string;
  readonly domain: string;
  readonly client: Client;
  readonly ssh: SshGateway;
}

/** The relay's own SSH server, as the ready file tells of it. */
export interface SshGateway {
  readonly host: string;
  readonly port: number;
  /** `ssh-ed25519 AAAA…` */
  readonly hostKey: string;
}

interface ReadyFile {
  readonly api: string;
  readonly token: string;
  readonly domain: string;
  readonly ssh: SshGateway;
}

export async function startBurrow(directory: string, build = THIS_BUILD): Promise<Burrow> {
  await run(build.node, [join(build.root, 'scripts/build-agent.mjs')]);
  const root = mkdtempSync(join(directory, 'burrow-'));
  const port = await freePort();
  const readyFile = join(root, 'ready.json');
  const relay = new Child(build.node, [
    ...RELAY_NODE_FLAGS,
    join(build.root, 'scripts/start.ts'),
    '--no-workspace',
    '--port',
    String(port),
    '--ssh-port',
    '0',
    '--data-dir',
    join(root, 'data'),
    '--ready-file',
    readyFile,
  ]);
  await relay.until(() => existsSync(readyFile));
  const ready = JSON.parse(readFileSync(readyFile, 'utf8')) as ReadyFile;
  return {
    build,
    port,
    pid: relay.pid,
    token: ready.token,
    domain: ready.domain.split(':')[0] ?? ready.domain,
    client: createClient({ baseUrl: `http://127.0.0.1:${port}`, token: ready.token }),
    ssh: ready.ssh,
    [Symbol.asyncDispose]: () => relay.stop(),
  };
}

/** Where a request for one port of a workspace goes. */
export function endpoint(relay: Burrow, workspace: string, port: number) {
  return {
    port: relay.port,
    headers: {
      Host: `${port}-${workspace}.${relay.domain}:${relay.port}`,
      'Burrow-Authorization': `Bearer ${relay.token}`,
    },
  };
}

/** What an agent of this workspace is started with, to reach the relay at `port`. */
export function agentEnvironment(created: CreatedWorkspace, port: number): Record<string, string> {
  if (created.environment === undefined)
    throw new Error(`the relay gave no agent environment for ${created.name}`);
  return { ...created.environment, BURROW_RELAY_URL: `http://127.0.0.1:${port}` };
}

export interface AgentSystem extends System, AsyncDisposable {
  readonly pid: number;
}

/** An agent beside the workload, reaching the relay at `through` (its own port, or a slow line to it). */
export async function startAgent(
  relay: Burrow,
  workload: Workload,
  workspace: string,
  through = relay.port,
): Promise<AgentSystem> {
  const created = await relay.client.workspaces.create({ name: workspace, driver: 'external' });
  const agent = new Child(relay.build.node, [agentBundle(relay.build)], {
    ...agentEnvironment(created, through),
  });
  await agent.until(async () => {
    const shown = await relay.client.workspaces.show(workspace);
    return (shown.agent?.connectedSince ?? null) !== null;
  });
  return {
    pid: agent.pid,
    endpoint: (upstream) =>
      endpoint(relay, workspace, upstream === 'http' ? workload.httpPort : workload.echoPort),
    [Symbol.asyncDispose]: () => agent.stop(),
  };
}
