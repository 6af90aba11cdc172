import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { welcomePicture } from './welcome-picture.ts';

/** Where a local workspace keeps its things. All of it is for its user alone (0700). */
export interface WorkspaceFolder {
  readonly home: string;
  /** What the editor opens. */
  readonly projects: string;
  readonly userData: string;
  readonly extensions: string;
  readonly serverData: string;
  readonly logs: string;
  /** The workspace's SSH host key: made by its first agent, kept for the next. */
  readonly sshHostKey: string;
  /** The editor's port in an earlier run, if any. */
  readonly lastPort: number | undefined;
}

interface Identity {
  readonly id: string;
  readonly editorPort?: number;
}

const IDENTITY = 'workspace.json';

/** Kept by VS Code in the user's own settings, so they are only ever the first ones. */
const USER_SETTINGS = {
  'chat.disableAIFeatures': true,
  'security.workspace.trust.enabled': false,
  'telemetry.telemetryLevel': 'off',
  'workbench.startupEditor': 'none',
  'workbench.tips.enabled': false,
  'workbench.secondarySideBar.defaultVisibility': 'hidden',
  'terminal.integrated.initialHint': false,
  'extensions.ignoreRecommendations': true,
  'update.mode': 'none',
};

const MACHINE_SETTINGS = {
  'chat.disableAIFeatures': true,
  'telemetry.telemetryLevel': 'off',
  'remote.autoForwardPortsSource': 'hybrid',
};

const readme = (name: string): string => `# Welcome to ${name}

![A hill with two doors, joined under the ground](images/burrow.png)

This is a real VS Code. Its server has no public address: a small agent beside it dialled out to
the relay, and your browser came back through that connection.

Things to try:

- Open a terminal (\`\` Ctrl+\` \`\`), and run something.
- Start a server in it, for example \`python3 -m http.server 3000\`, then open its link from the
  **Ports** panel: it gets an address of its own.
- Press \`Ctrl+Shift+V\` in this file to see it as a page.

Everything in this folder is yours, and stays on the machine where the workspace runs.
`;

async function writeNew(path: string, content: string | Uint8Array): Promise<void> {
  try {
    await writeFile(path, content, { flag: 'wx', mode: 0o600 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

async function readIdentity(home: string): Promise<Identity | undefined> {
  try {
    return JSON.parse(await readFile(join(home, IDENTITY), 'utf8')) as Identity;
  } catch {
    return undefined;
  }
}

/** Replaces the identity file in one step: a crash leaves the old one or the new one. */
export async function writeIdentity(home: string, identity: Identity): Promise<void> {
  const temporary = join(home, `${IDENTITY}.${process.pid}`);
  await writeFile(temporary, `${JSON.stringify(identity)}\n`, { mode: 0o600 });
  await rename(temporary, join(home, IDENTITY));
}

/**
 * Makes `<root>/<name>/` with a first project, or finds it as it was left. A
 * folder of an earlier workspace with the same name is moved aside, to
 * `<root>/.earlier/<name>-<its id>`: it may have belonged to somebody else.
 */
export async function prepareFolder(
  root: string,
  workspace: { readonly id: string; readonly name: string },
): Promise<WorkspaceFolder> {
  const home = join(root, workspace.name);
  let identity = await readIdentity(home);
  if (identity !== undefined && identity.id !== workspace.id) {
    const earlier = join(root, '.earlier');
    await mkdir(earlier, { recursive: true, mode: 0o700 });
    await rename(home, join(earlier, `${workspace.name}-${identity.id}`));
    identity = undefined;
  }
  const folder = {
    home,
    projects: join(home, 'projects'),
    userData: join(home, 'user-data'),
    extensions: join(home, 'extensions'),
    serverData: join(home, 'server-data'),
    logs: join(home, 'logs'),
    sshHostKey: join(home, 'ssh_host_ed25519_key'),
    lastPort: identity?.editorPort,
  };
  const { projects, userData, extensions, serverData, logs } = folder;
  await mkdir(home, { recursive: true, mode: 0o700 });
  for (const path of [userData, extensions, serverData, logs]) {
    await mkdir(path, { recursive: true, mode: 0o700 });
  }
  for (const [scope, settings] of [
    ['User', USER_SETTINGS],
    ['Machine', MACHINE_SETTINGS],
  ] as const) {
    await mkdir(join(userData, scope), { recursive: true, mode: 0o700 });
    const text = `${JSON.stringify(settings, undefined, 2)}\n`;
    await writeNew(join(userData, scope, 'settings.json'), text);
  }
  if (identity === undefined) {
    await mkdir(join(projects, 'images'), { recursive: true, mode: 0o700 });
    await writeNew(join(projects, 'README.md'), readme(workspace.name));
    await writeNew(join(projects, 'images', 'burrow.png'), welcomePicture());
    await writeIdentity(home, { id: workspace.id });
  }
  await mkdir(projects, { recursive: true, mode: 0o700 });
  return folder;
}
