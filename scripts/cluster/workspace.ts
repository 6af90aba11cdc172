import type { CreatedWorkspace, Workspace } from '@burrow/api';
import { join } from 'node:path';
import { localDriver } from '../../packages/relay/src/drivers/local.ts';
import { loopbackPort } from '../../packages/relay/src/drivers/local/loopback-port.ts';
import { installEditor } from '../install-editor.mjs';
import { ensureAgentBundle } from '../lib/agent-bundle.ts';
import { step } from '../lib/progress.mjs';
import { workspaceAnswers } from '../start/workspace-answers.ts';

const START_MS = 60_000;

export interface ClusterWorkspaceOptions {
  readonly name: string;
  readonly dataDir: string;
  /** Of the address in front of the relays. */
  readonly port: number;
  readonly token: string;
  readonly signal: AbortSignal;
}

export interface ClusterWorkspace {
  readonly name: string;
  readonly url: string;
  stop(): Promise<void>;
}

/**
 * VS Code and an agent on this machine, of no relay in particular: a relay may end, and they stay.
 * Resolves once VS Code answers through the tunnel.
 */
export async function startClusterWorkspace(
  options: ClusterWorkspaceOptions,
): Promise<ClusterWorkspace> {
  const { name, port, token } = options;
  const editor = await installEditor({ signal: options.signal });
  const agent = await ensureAgentBundle();
  const progress = step(`Starting VS Code in workspace "${name}"`);
  const signal = AbortSignal.any([options.signal, AbortSignal.timeout(START_MS)]);
  const origin = `http://127.0.0.1:${port}`;
  const api = async <T>(method: string, path: string, body?: object): Promise<T | undefined> => {
    const response = await fetch(`${origin}/api/v1${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal,
    });
    if (response.status === 404) return undefined;
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${text}`);
    return text === '' ? undefined : (JSON.parse(text) as T);
  };
  const driver = localDriver({ folder: join(options.dataDir, 'workspaces'), editor, agent });
  try {
    const known = await api<Workspace>('GET', `/workspaces/${name}`);
    const made =
      known === undefined
        ? await api<CreatedWorkspace>('POST', '/workspaces', {
            name,
            driver: 'external',
            editorPort: await loopbackPort([]),
          })
        : undefined;
    const workspace = known ?? made!;
    const environment =
      made?.environment ??
      (await api<{ environment: CreatedWorkspace['environment'] }>(
        'POST',
        `/workspaces/${name}/agent-token`,
        {},
      ))!.environment!;
    const { host, origin: app } = new URL(workspace.url);
    const started = await driver.start(
      { id: workspace.id, name, editorPort: workspace.editorPort },
      {
        agentToken: environment.BURROW_AGENT_TOKEN,
        relayUrl: origin,
        env: { VSCODE_PROXY_URI: app.replace('://', '://{{port}}-') },
        onExit: (reason) => process.stderr.write(`  Workspace "${name}" ended: ${reason}\n`),
      },
      signal,
    );
    if (started.editorPort !== workspace.editorPort) {
      throw new Error(
        `Port ${workspace.editorPort}, where VS Code of workspace "${name}" is looked for, is taken.`,
      );
    }
    await workspaceAnswers({ port, host, token }, signal);
    progress.done(`Workspace "${name}" is up`);
    return { name, url: workspace.url, stop: () => driver.stopAll() };
  } catch (error) {
    await driver.stopAll();
    if (options.signal.aborted) progress.clear();
    else progress.fail();
    throw error;
  }
}
