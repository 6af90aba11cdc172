import type { Workspace } from '@burrow/api';
import type { HomeWorkspace } from './auth/pages/home-page.ts';

/** A workspace as the home page shows it. */
export function homeWorkspace(workspace: Workspace): HomeWorkspace {
  const { name, state, agent } = workspace;
  const lastSeen = agent?.lastSeen;
  return {
    name,
    // The home page tells by `connected` that a running workspace's agent is away.
    state: state === 'disconnected' ? 'running' : state,
    connected: agent !== null && agent.connectedSince !== null,
    agentLastSeen: typeof lastSeen === 'string' ? Date.parse(lastSeen) : undefined,
  };
}
