import type { Workspace } from '@burrow/api';
import { html, type Html } from './html.ts';
import type { Page } from './layout.ts';

/** A workspace as the home page shows it: part of what the REST API lists. */
export type HomeWorkspace = Pick<Workspace, 'name' | 'state' | 'agent'>;

/** The person's workspaces, or how to make the first. */
export function homePage(options: {
  username: string;
  workspaces: readonly HomeWorkspace[];
  /** E.g. `https://burrow.example.com`. */
  origin: string;
  urlOf: (workspace: string) => string;
  now: number;
}): Omit<Page, 'nonce'> {
  const { username, workspaces } = options;
  return {
    title: 'Workspaces',
    wide: true,
    corner: html`<div class="end">
      <span>${username}</span>
      <form method="post" action="/sign-out"><button class="quiet">Sign out</button></form>
    </div>`,
    body:
      workspaces.length === 0
        ? empty(options.origin)
        : html`<div class="card">
            <h1>Workspaces</h1>
            <ul class="list">
              ${workspaces.map((workspace) => row(workspace, options.urlOf(workspace.name), options.now))}
            </ul>
          </div>`,
  };
}

function row(workspace: HomeWorkspace, url: string, now: number): Html {
  const [tone, words] = stateOf(workspace, now);
  const link = workspace.state === 'stopped' || workspace.state === 'failed';
  return html`<li>
    <span class="name">${workspace.name}<small>${new URL(url).host}</small></span
    ><span class="state ${tone}">${words}</span
    >${link ? undefined : html`<a class="button" href="${url}">Open</a>`}
  </li>`;
}

function stateOf(workspace: HomeWorkspace, now: number): [tone: string, words: string] {
  switch (workspace.state) {
    case 'starting':
      return ['wait', workspace.agent === null ? 'Waiting for its agent' : 'Starting'];
    case 'running':
      return ['good', 'Connected'];
    case 'stopped':
      return ['', 'Stopped'];
    case 'failed':
      return ['bad', 'Failed'];
    case 'disconnected':
      break;
  }
  const gone = workspace.agent === null ? 0 : now - Date.parse(workspace.agent.lastSeen);
  const minutes = Math.round(gone / 60_000);
  return ['bad', minutes < 2 ? 'Just lost its agent' : `Agent gone for ${age(minutes)}`];
}

function age(minutes: number): string {
  if (minutes < 120) return `${minutes} min`;
  if (minutes < 48 * 60) return `${Math.round(minutes / 60)} h`;
  return `${Math.round(minutes / 1440)} days`;
}

function empty(origin: string): Html {
  return html`<div class="card">
    <h1>Open your first workspace</h1>
    <p>
      A workspace is any machine, container or process that you want to reach. It needs no address
      of its own: a small agent beside it dials out to this relay.
    </p>
    <h2>1. Make a workspace</h2>
    <pre><code>burrow login ${origin}
burrow create my-machine</code></pre>
    <p class="small soft">
      Or, without the command line, <code>POST ${origin}/api/v1/workspaces</code> with
      <code>{"name": "my-machine", "driver": "external"}</code> and your token.
    </p>
    <h2>2. Start the agent there</h2>
    <pre><code>curl -fsSO ${origin}/burrow-agent.mjs
export BURROW_RELAY_URL=${origin} BURROW_AGENT_TOKEN=burrow_agt_…
node burrow-agent.mjs</code></pre>
    <p class="small soft">Then load this page again: the workspace is listed here.</p>
  </div>`;
}
