import type { HelloInfo } from '@burrow/tunnel';

/**
 * What the hot paths (links, gateways) ask of the control plane. Answers come
 * from a cache; a cached answer is synchronous, so that a request costs no
 * promise and no SQL.
 */

/** Upstream settings of one port. */
export interface PortPolicy {
  /** What the app speaks. */
  readonly protocol: 'http' | 'https' | 'h2c';
  /** `preserve`: the app sees the public host name; `localhost`: it sees `localhost:<port>`. */
  readonly host: 'preserve' | 'localhost';
  /** Origins (scheme://host[:port]) other than the app's own that may send credentials here. */
  readonly corsOrigins: readonly string[];
}

export const DEFAULT_PORT_POLICY: PortPolicy = Object.freeze({
  protocol: 'http',
  host: 'preserve',
  corsOrigins: Object.freeze([]) as readonly string[],
});

/** An immutable snapshot of a workspace, as routing needs it. */
export interface WorkspaceRoute {
  readonly id: string;
  readonly name: string;
  readonly ownerId: string;
  readonly agentId: string;
  readonly state: 'starting' | 'running' | 'stopped' | 'failed';
  /** The port that `<workspace>.<domain>` leads to. */
  readonly editorPort: number;
  readonly ports: ReadonlyMap<number, PortPolicy>;
  /** ms since the epoch; undefined: the agent has never connected. */
  readonly agentLastSeen: number | undefined;
}

export interface WorkspaceDirectory {
  /** Undefined: no such workspace. Negative answers are cached briefly, within a bound. */
  find(name: string): WorkspaceRoute | undefined | Promise<WorkspaceRoute | undefined>;
}

export interface AuthenticatedAgent {
  readonly agentId: string;
  readonly workspaceId: string;
  readonly workspaceName: string;
}

export interface AgentDirectory {
  /**
   * Checks an agent token. Rejects with TunnelError `token-malformed`,
   * `token-unknown`, `token-revoked`, `token-expired` or, when the database
   * does not answer, `unavailable`.
   */
  authenticate(token: string): Promise<AuthenticatedAgent>;
  /** A link of the agent came or went; what its Hello says of SSH is remembered with the workspace. Never throws; writes are batched. */
  connected(
    agentId: string,
    at: number,
    hello?: Pick<HelloInfo, 'sshServer' | 'sshHostKey' | 'sshUser'>,
  ): void;
  disconnected(agentId: string, at: number): void;
  /** Keeps the leases of connected agents alive; called on a timer by the links room. */
  renewLeases(agentIds: readonly string[]): Promise<void>;
  /** Calls back when agents lose their right to be connected (revoked, workspace deleted). Returns an unsubscribe. */
  onRevoked(listener: (agentId: string, reason: string) => void): () => void;
}
