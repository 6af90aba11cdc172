export { createPeers } from './peers.ts';
export type {
  DialOutcome,
  PeerDirection,
  Peers,
  PeersObserver,
  PeersOptions,
  RefusalReason,
} from './contracts.ts';
export { DIAL_OUTCOMES, REFUSAL_REASONS } from './contracts.ts';
export { PEER_LIMITS, type PeerLimits } from './limits.ts';
export { aloneOf, clusterStatus } from './status.ts';
export { relayStats, type RelayStats } from './stats.ts';
