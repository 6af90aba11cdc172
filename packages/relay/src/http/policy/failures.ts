import { CHANNEL_ERROR_CODES, LINK_ERROR_CODES, type TunnelErrorCode } from '@burrow/tunnel';
import type { Blame, RelayErrorCode } from '../../errors.ts';

export interface Failure {
  /** Who failed, unless the error itself says otherwise. */
  readonly blame: Blame;
  readonly title: string;
  /** What happened, when the error's own sentence must not or cannot be shown. */
  readonly what: string;
  /** What to do next. */
  readonly next: string;
}

/** What every failure tells a person; its status is in `error-status.ts`. `docs/errors.md` tells the same. */
export const FAILURES: Readonly<Record<RelayErrorCode, Failure>> = {
  'bad-request': {
    blame: 'client',
    title: 'This request makes no sense',
    what: 'The request could not be understood.',
    next: 'Correct the request and send it again.',
  },
  unauthenticated: {
    blame: 'client',
    title: 'Please sign in',
    what: 'This request carries no valid sign-in.',
    next: 'Open the page in a browser to sign in, or send a personal access token as “Burrow-Authorization: Bearer …”.',
  },
  forbidden: {
    blame: 'policy',
    title: 'Not allowed',
    what: 'You are signed in, but this is not allowed.',
    next: 'Ask the owner for access, or go back to where you came from.',
  },
  'not-found': {
    blame: 'client',
    title: 'Nothing here',
    what: 'Burrow has no page at this address.',
    next: 'Check the address.',
  },
  conflict: {
    blame: 'client',
    title: 'That is taken',
    what: 'The request conflicts with what is already there.',
    next: 'Look at the present state, then try again.',
  },
  'too-many-requests': {
    blame: 'policy',
    title: 'Too many requests',
    what: 'A limit was met.',
    next: 'Wait a moment, then try again.',
  },
  'workspace-unknown': {
    blame: 'client',
    title: 'No such workspace',
    what: 'There is no such workspace, or you may not open it.',
    next: 'Check the name in the address, or ask the workspace’s owner.',
  },
  'workspace-starting': {
    blame: 'agent',
    title: 'The workspace is starting',
    what: 'The workspace is starting; its agent is not connected yet.',
    next: 'Wait a moment: it usually takes some seconds.',
  },
  'workspace-stopped': {
    blame: 'policy',
    title: 'The workspace is stopped',
    what: 'The workspace is stopped, so nothing runs in it.',
    next: 'Start the workspace, then open this page again.',
  },
  'agent-never-connected': {
    blame: 'agent',
    title: 'The agent has never connected',
    what: 'The workspace’s agent has never connected to this relay.',
    next: 'Start the agent where the workspace runs, with the environment that was shown when the workspace was made; its log says why it cannot connect.',
  },
  'agent-disconnected': {
    blame: 'agent',
    title: 'The agent is not connected',
    what: 'The workspace’s agent lost its connection to the relay.',
    next: 'It reconnects by itself while it runs. If this lasts, look whether its machine and its network are up; its log says why.',
  },
  'port-not-listening': {
    blame: 'app',
    title: 'Nothing listens on this port',
    what: 'The workspace is connected, but no program in it listens on this port.',
    next: 'Start the program in the workspace, and see that it listens on this port of localhost.',
  },
  'port-not-allowed': {
    blame: 'policy',
    title: 'The agent does not allow this port',
    what: 'The workspace’s agent refuses to connect to this port.',
    next: 'Use an allowed port (by default 1024 to 65535), or allow this one in the agent’s configuration.',
  },
  'upstream-failed': {
    blame: 'app',
    title: 'The app’s answer broke off',
    what: 'The program in the workspace closed the connection or sent an answer that is not HTTP.',
    next: 'Look at the program’s own log, then try again.',
  },
  'upstream-timeout': {
    blame: 'app',
    title: 'The app did not answer in time',
    what: 'The program in the workspace accepted the connection, but did not answer in time.',
    next: 'Look whether the program is busy or hangs, then try again.',
  },
  misdirected: {
    blame: 'client',
    title: 'This host name leads nowhere',
    what: 'This relay serves no such host name.',
    next: 'Check the address: an app is at <port>-<workspace>.<domain>, an editor at <workspace>.<domain>.',
  },
  insecure: {
    blame: 'policy',
    title: 'This connection is not encrypted',
    what: 'Without TLS only names of this machine itself (localhost) are served, because anyone on the way could read and take over the session.',
    next: 'Use https. If a proxy before the relay ends TLS, list the proxy’s address under the trusted proxies and let it send X-Forwarded-Proto.',
  },
  unavailable: {
    blame: 'relay',
    title: 'The relay cannot answer now',
    what: 'A part of the relay is not available, or it is shutting down.',
    next: 'Try again in a moment. If this lasts, tell the relay’s operator the request id.',
  },
  'config-invalid': {
    blame: 'relay',
    title: 'The relay is set up wrongly',
    what: 'The relay’s configuration does not allow this.',
    next: 'Tell the relay’s operator the request id.',
  },
  internal: {
    blame: 'relay',
    title: 'The relay failed',
    what: 'Something in the relay went wrong.',
    next: 'Try again. If this lasts, tell the relay’s operator the request id.',
  },
};

/** What an error of the tunnel means to the person who waits for an answer. */
export const TUNNEL_FAILURES: Readonly<Record<TunnelErrorCode, RelayErrorCode>> = {
  cancelled: 'upstream-failed',
  'not-allowed': 'port-not-allowed',
  'nothing-listens': 'port-not-listening',
  unreachable: 'upstream-failed',
  'target-closed': 'upstream-failed',
  'timed-out': 'upstream-timeout',
  limit: 'too-many-requests',
  revoked: 'agent-disconnected',
  'agent-gone': 'agent-disconnected',
  draining: 'unavailable',
  'protocol-error': 'internal',
  internal: 'internal',
  unsupported: 'upstream-failed',
  'unknown-channel': 'agent-disconnected',
  'never-opened': 'agent-disconnected',
  'token-unknown': 'agent-disconnected',
  'token-revoked': 'agent-disconnected',
  'token-expired': 'agent-disconnected',
  'token-malformed': 'agent-disconnected',
  'unsupported-revision': 'agent-disconnected',
  'too-many-links': 'agent-disconnected',
  unavailable: 'unavailable',
  'link-lost': 'agent-disconnected',
  'link-silent': 'agent-disconnected',
};

/** Codes whose message may hold inner details: the table's sentence is shown instead. */
export const OPAQUE: ReadonlySet<RelayErrorCode> = new Set(['internal', 'config-invalid']);

/** Every code of the tunnel, for tests of completeness. */
export const TUNNEL_CODES: readonly TunnelErrorCode[] = [
  ...CHANNEL_ERROR_CODES,
  ...LINK_ERROR_CODES,
];
