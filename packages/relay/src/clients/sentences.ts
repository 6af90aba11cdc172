import { TunnelError } from '@burrow/tunnel';
import type { WorkspaceRoute } from '../control/directory.ts';

/** One answer for both, so that nobody can find out which names exist. */
export function noSuchWorkspace(name: string): TunnelError {
  return new TunnelError(
    'not-allowed',
    `There is no workspace “${printable(name)}”, or you may not open it. Check the name, or ask its owner.`,
  );
}

export function tokenGone(): TunnelError {
  return new TunnelError(
    'token-revoked',
    'Your access token was revoked or has expired. Sign in again with a new one.',
  );
}

export function accessGone(name: string): TunnelError {
  return new TunnelError(
    'revoked',
    `Your access to the workspace “${name}” was taken away, or the workspace is gone.`,
  );
}

/** Why nothing of a workspace can be reached, before its agent is even asked for. */
export function notRunning(route: WorkspaceRoute): TunnelError | undefined {
  if (route.state === 'stopped') {
    return new TunnelError(
      'unreachable',
      `The workspace “${route.name}” is stopped, so nothing runs in it. Start it first.`,
    );
  }
  if (route.state === 'failed') {
    return new TunnelError(
      'unreachable',
      `The workspace “${route.name}” could not be started, or ended with an error; its page and log say why.`,
    );
  }
  return undefined;
}

/** No agent within the wait. */
export function noAgent(route: WorkspaceRoute): TunnelError {
  if (route.state === 'starting') {
    return new TunnelError(
      'agent-gone',
      `The workspace “${route.name}” is starting; its agent is not connected yet. Try again in a moment.`,
    );
  }
  return new TunnelError(
    'agent-gone',
    route.agentLastSeen === undefined
      ? `The agent of the workspace “${route.name}” has never connected. Start it where the workspace runs; its log says why it cannot connect.`
      : `The agent of the workspace “${route.name}” is not connected. It reconnects by itself while it runs; if this lasts, look at its log.`,
  );
}

export function relayStops(): TunnelError {
  return new TunnelError('draining', 'The relay shuts down; connect again in a moment.');
}

function printable(name: string): string {
  return name.replace(/[^a-z0-9.-]/gi, '?').slice(0, 63);
}
