import { TunnelError } from '@burrow/tunnel';
import type { WorkspaceRoute } from '../../control/directory.ts';
import type { RelayError, RelayErrorCode } from '../../errors.ts';
import type { FailureContext } from '../gate-policy.ts';
import type { ErrorAnswer } from './error-response.ts';
import { TUNNEL_FAILURES } from './failures.ts';

/** So long after its loss (ms) an agent is still expected back: it redials at least every 20 s. */
const EXPECTED_BACK_MS = 5 * 60_000;

/** What to tell a person about a failure behind the gate. */
export function explainFailure(
  error: RelayError | TunnelError,
  context: FailureContext,
  now: number,
): ErrorAnswer {
  const { route, port } = context;
  const code = error instanceof TunnelError ? TUNNEL_FAILURES[error.code] : error.code;
  if (route !== undefined && isAboutAgent(code)) return explainAgent(route, now);

  const blame = error instanceof TunnelError || error.blame === 'relay' ? undefined : error.blame;
  const retryAfter =
    (error instanceof TunnelError ? undefined : error.retryAfter) ??
    (code === 'too-many-requests' || code === 'unavailable' ? 1 : undefined);
  const common = {
    code,
    ...(blame === undefined ? {} : { blame }),
    ...(retryAfter === undefined ? {} : { retryAfter }),
  };
  if (code === 'port-not-listening' && route !== undefined && port !== undefined) {
    if (port === route.editorPort) {
      return {
        ...common,
        title: 'The editor is not up yet',
        message: `The workspace “${route.name}” is connected, but its editor does not listen on port ${port} yet.`,
        next: 'It usually takes some seconds. If this lasts, look at the editor’s log in the workspace.',
        waiting: true,
      };
    }
    return {
      ...common,
      title: `Nothing listens on port ${port}`,
      message: `The workspace “${route.name}” is connected, but no program in it listens on port ${port}.`,
      next: `Start the program in the workspace, and see that it listens on port ${port} of localhost.`,
    };
  }
  return error.message === '' ? common : { ...common, message: error.message };
}

function isAboutAgent(code: RelayErrorCode): boolean {
  return (
    code === 'agent-disconnected' ||
    code === 'agent-never-connected' ||
    code === 'workspace-starting' ||
    code === 'workspace-stopped'
  );
}

/** Which of these it is: starting, stopped, never connected, gone for so long. */
export function explainAgent(route: WorkspaceRoute, now: number): ErrorAnswer {
  const name = `“${route.name}”`;
  switch (route.state) {
    case 'stopped':
      return {
        code: 'workspace-stopped',
        message: `The workspace ${name} is stopped, so nothing runs in it.`,
      };
    case 'failed':
      return {
        code: 'workspace-stopped',
        title: 'The workspace could not be started',
        message: `The workspace ${name} could not be started, or ended with an error.`,
        next: 'The workspace’s page and log say why. Start it again once that is corrected.',
        blame: 'app',
      };
    case 'starting':
      return {
        code: 'workspace-starting',
        message: `The workspace ${name} is starting; its agent is not connected yet.`,
        next: 'A workspace on the relay’s own machine takes some seconds. Elsewhere, start its agent with the environment that was shown when the workspace was made.',
        waiting: true,
      };
    case 'running':
      break;
  }
  if (route.agentLastSeen === undefined) {
    return {
      code: 'agent-never-connected',
      title: 'Waiting for the workspace’s agent',
      message: `The agent of the workspace ${name} has never connected to this relay.`,
      waiting: true,
    };
  }
  const gone = Math.max(0, now - route.agentLastSeen);
  return {
    code: 'agent-disconnected',
    message: `The agent of the workspace ${name} lost its connection ${duration(gone)} ago.`,
    waiting: gone <= EXPECTED_BACK_MS,
  };
}

function duration(ms: number): string {
  const seconds = Math.round(ms / 1000);
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 48 * 3600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} days`;
}
