import type { MessagePort } from 'node:worker_threads';
import type { AccessTokens } from '../auth/tokens.ts';
import type { Principal } from '../auth/principal.ts';
import type { WorkspaceDirectory } from '../control/directory.ts';
import type { Admission, Transport } from '../links/admission.ts';
import type { UpgradeHandler } from '../links/websocket-endpoint.ts';
import type { LinkChooser } from '../routing/router.ts';
import type { Link, TunnelErrorCode, WelcomeInfo } from '@burrow/tunnel';
import type { ClientLimits } from './limits.ts';

/** pino fits. */
export interface ClientsLog {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export type ClientAuditAction =
  | 'ssh.session-opened'
  | 'ssh.session-closed'
  | 'ssh.session-cut'
  | 'port.forwarded'
  | 'port.cut';

/** What is written down of SSH connections that pass end to end, and of ports. */
export interface ClientAudit {
  record(event: {
    readonly action: ClientAuditAction;
    readonly outcome: 'ok' | 'refused' | 'failed';
    readonly userId?: string | undefined;
    readonly username?: string | undefined;
    readonly workspace?: string | undefined;
    readonly address?: string | undefined;
    readonly channel?: string | undefined;
    readonly detail?: string | undefined;
  }): void;
}

/** Counts what comes and goes. */
export interface ClientsObserver {
  linkOpened(transport: ClientTransport): void;
  linkClosed(code: TunnelErrorCode): void;
  linkRefused(code: TunnelErrorCode): void;
  /** Joined with one to an agent; over whichever link, the gateway's own too. */
  channelOpened(): void;
}

/** `plain`: SSH in a WebSocket, without a tunnel's link inside. */
export type ClientTransport = Transport | 'plain';

export interface ClientsOptions {
  readonly tokens: Pick<AccessTokens, 'verify'>;
  readonly directory: WorkspaceDirectory;
  readonly router: LinkChooser;
  /** `SHA256:…` of the account's SSH keys, at most 56. */
  readonly keysOf: (person: Pick<Principal, 'userId'>) => Promise<readonly string[]>;
  readonly relay: Pick<WelcomeInfo, 'relayId' | 'relayIncarnation' | 'software'>;
  /** Live relays; default 1. */
  readonly clusterSize?: () => number;
  readonly settings: ClientsSettings;
  readonly limits?: Partial<ClientLimits>;
  readonly log: ClientsLog;
  readonly audit?: ClientAudit;
  readonly observer?: ClientsObserver;
  /** Where an upgrade comes from. */
  readonly addressOf?: (request: import('node:http').IncomingMessage) => string;
}

/** What the operator may change; ms. */
export interface ClientsSettings {
  readonly pingAfterMs: number;
  readonly pongWithinMs: number;
  readonly helloTimeoutMs: number;
  /** Links being admitted at once, in all. */
  readonly maxPendingLinks: number;
  /** The database's answer to one token. */
  readonly authenticateWithinMs: number;
  readonly waitForAgentMs: number;
  /** How long channels that broke may be resumed, in ms; 0: not at all. */
  readonly resumeMs: number;
  /** Takes links that others on the way can read. */
  readonly allowPlaintext: boolean;
}

/** People's programs (the command line, the SSH gateway, any WebSocket) on their way to workloads. */
export interface Clients extends Admission {
  /**
   * Takes a link from another thread of this process (`dialPort` at the other end), which is trusted: each of
   * its channels names workload and principal, and the principal was authorized there. Workspaces must exist;
   * an `ssh` target admits exactly the keys it names. Never throws.
   */
  admitInternal(port: MessagePort): void;
  /** `GET /api/v1/workspaces/{name}/ssh`: raw SSH in binary WebSocket messages. */
  readonly handleUpgrade: UpgradeHandler;
  /** Refuses what is new; resolves once nothing is open, at the latest after `graceMs`. */
  drain(graceMs: number): Promise<void>;
  /** Cuts what is left. Idempotent. */
  stop(): void;
  readonly links: number;
  readonly channels: number;
  /** All links, each with whose it is. */
  ends(): Iterable<readonly [Link, 'client' | 'ssh-gateway']>;
}
