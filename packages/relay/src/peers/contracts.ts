import type { Link, Traffic, TunnelError } from '@burrow/tunnel';
import type { RelayInfo } from '../routing/registry.ts';
import type { OtherRelays, PeerAnswers } from '../trace/contracts.ts';
import type { PeerLimits } from './limits.ts';
import type { RelayStats } from './stats.ts';

/** pino fits. */
export interface PeersLog {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** This relay, before it is known where it listens. */
export type PeerSelf = Omit<RelayInfo, 'peerUrl'>;

/** Files of mutual TLS: all members' certificates come from the authority in `caFile`, and from nobody else. */
export interface PeerTlsFiles {
  readonly certFile: string;
  readonly keyFile: string;
  readonly caFile: string;
}

export interface PeersOptions {
  readonly self: PeerSelf;
  /** The first signs, all are accepted: so a secret can be replaced relay by relay. At least 32 bytes each. */
  readonly secrets: readonly string[];
  readonly listen: {
    readonly host: string;
    readonly port: number;
    /** What others dial; default: host and port. */
    readonly url?: string | undefined;
    readonly tls?: PeerTlsFiles | undefined;
  };
  /** The best link of the agent that ends *here*: what comes from a peer never goes to another peer. */
  readonly choose: (agentId: string, traffic: Traffic) => Link | undefined;
  /** What this relay tells the others about itself. */
  readonly stats: () => RelayStats;
  /** What it tells them of its channels; default: nothing. */
  readonly channels?: () => PeerAnswers;
  /** Live relays, for `Welcome.cluster_size`. */
  readonly clusterSize?: () => number;
  readonly limits?: Partial<PeerLimits>;
  /** ms since the epoch. */
  readonly now?: () => number;
  readonly log: PeersLog;
  readonly observer?: PeersObserver;
}

export const DIAL_OUTCOMES = ['ok', 'refused', 'wrong-relay', 'failed'] as const;
export type DialOutcome = (typeof DIAL_OUTCOMES)[number];

export const REFUSAL_REASONS = [
  'malformed',
  'signature',
  'audience',
  'expired',
  'replayed',
  'incarnation',
  'draining',
  'full',
  'failed',
] as const;
export type RefusalReason = (typeof REFUSAL_REASONS)[number];

export interface PeersObserver {
  dialled(outcome: DialOutcome): void;
  refused(reason: RefusalReason): void;
  /** A link of another relay is about to be forgotten: what it counted would be lost. */
  linkClosed?(link: Link): void;
}

export type PeerDirection = 'in' | 'out';

/** The room of the other relays: links to them and from them. */
export interface Peers {
  /** Listens. Rejects with RelayError `config-invalid` or `unavailable`. */
  start(): Promise<{ url: string }>;
  /**
   * The best link to that relay for such a channel, if one is up now. `Open.workload` on it is the agent's id.
   * Dials another one in the background when all are busy with bulk or crowded.
   */
  linkNow(relay: RelayInfo, traffic?: Traffic): Link | undefined;
  /** Dials if need be, one dial at a time for each relay. Rejects with TunnelError, or with the signal's reason. */
  link(relay: RelayInfo, signal: AbortSignal, traffic?: Traffic): Promise<Link>;
  /** Told when no link to a relay is usable any more, since the last one ended or says Drain: routes over it are stale. */
  onLost(listener: (relay: RelayInfo, reason: TunnelError) => void): () => void;
  /** What another relay says of itself now. Rejects with TunnelError. */
  stats(relay: RelayInfo, signal: AbortSignal): Promise<RelayStats>;
  /** As in `OtherRelays`. */
  readonly channels: OtherRelays['channels'];
  readonly trace: OtherRelays['trace'];
  links(direction: PeerDirection): Iterable<Link>;
  /** All links, each with the id of the relay at its other end. */
  ends(): Iterable<readonly [Link, relayId: string]>;
  /** Refuses new links and asks those that are here to go elsewhere: what is open goes on until the deadline. Idempotent. */
  drain(deadlineMs: number, reason: string): void;
  /** Cuts all links, telling each why, and closes the port. Idempotent. */
  stop(): Promise<void>;
}
