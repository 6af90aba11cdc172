import type { Workspace } from '@burrow/api';
import type { ControlContext } from '../context.ts';
import { sshFactsOf } from '../ssh/facts.ts';
import { workspaceUrl } from '../urls.ts';
import type { WorkspaceRow } from './rows.ts';

type ViewContext = Pick<ControlContext, 'config' | 'clock' | 'presence' | 'activity'>;

/** A row as the API shows it: what the control plane wants, and what the links see now. */
export function viewWorkspace(context: ViewContext, row: WorkspaceRow): Workspace {
  const agent = viewAgent(context, row);
  return {
    id: row.id,
    name: row.name,
    url: workspaceUrl(context.config, row.name),
    state: stateOf(row, agent),
    ...(row.state_reason === null ? {} : { stateReason: row.state_reason }),
    driver: row.driver,
    editorPort: Number(row.editor_port),
    createdAt: iso(Number(row.created_at)),
    agent,
    ssh: viewSsh(context, row),
  };
}

/** What a link says now is newer than the row. */
function viewSsh(context: ViewContext, row: WorkspaceRow): Workspace['ssh'] {
  const presence = context.presence(row.agent_id);
  const now = presence && sshFactsOf(presence.hello);
  return {
    server: now?.server ?? row.ssh_server ?? 'none',
    hostKey: now?.hostKey ?? row.ssh_host_key,
    user: now === undefined ? row.ssh_user : now.user,
  };
}

function viewAgent(context: ViewContext, row: WorkspaceRow): Workspace['agent'] {
  const presence = context.presence(row.agent_id);
  const seen = context.activity.peek(row.agent_id);
  if (presence) {
    return {
      connectedSince: iso(presence.connectedSince),
      lastSeen: iso(context.clock.now()),
      links: presence.links,
      listeningPorts: [...presence.hello.listeningPorts],
      software: presence.hello.software,
    };
  }
  const lastSeen = Math.max(Number(row.last_seen_at ?? 0), seen?.lastSeen ?? 0);
  if (lastSeen === 0) return null;
  // Activity is newer than the row. A row alone speaks of a link to another relay.
  const since = seen ? seen.connectedSince : row.connected_since;
  return {
    connectedSince: since === undefined || since === null ? null : iso(Number(since)),
    lastSeen: iso(lastSeen),
    links: 0,
    listeningPorts: [],
    software: null,
  };
}

function stateOf(row: WorkspaceRow, agent: Workspace['agent']): Workspace['state'] {
  if (row.state === 'failed' || row.state === 'stopped') return row.state;
  if (agent?.connectedSince) return 'running';
  return agent === null || row.state === 'starting' ? 'starting' : 'disconnected';
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
