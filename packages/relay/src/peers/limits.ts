import { DEFAULT_MAX_CHANNELS, SWITCH_GUARANTEE_BYTES } from '@burrow/tunnel';

/** Every number of the room of relays, with its reason. */
export const PEER_LIMITS = Object.freeze({
  /** A token is made for one dial: a connection, TLS, one header. */
  tokenMs: 10_000,
  /** What clocks of one cluster differ by without anybody noticing; beyond it a challenge takes the clock's place. */
  clockToleranceMs: 5_000,
  /** How long a challenge may be answered: one more dial. */
  challengeMs: 10_000,
  /** Tokens of members that are remembered so that none is good twice; about 150 bytes each. */
  usedTokens: 20_000,
  /** Links to one other relay that are dialled: a clean one for interactive channels, and room to grow. */
  linksPerPeer: 4,
  /** Links from one other relay that are accepted: those being replaced count as well. */
  acceptedPerPeer: 8,
  /** Links from all other relays: a cluster of 500 with two each. */
  acceptedLinks: 1_000,
  /** Connections of the peer port, links or not. */
  connections: 2_000,
  /** Links being admitted at once. */
  pendingLinks: 100,
  channelsPerLink: DEFAULT_MAX_CHANNELS,
  /** Comes unasked on each new channel, for an agent that may not take it. */
  firstWindowBytes: SWITCH_GUARANTEE_BYTES,
  /** Beyond it another link is dialled, before the first is full. */
  crowdedChannels: DEFAULT_MAX_CHANNELS / 2,
  /** A page opens dozens of channels, a relay serves thousands of pages; a loop gone wild is still stopped. */
  opensPerSecond: 10_000,
  /** The whole of a dial: what waits for it is a person. */
  dialMs: 3_000,
  /** After a failed dial, doubled by each further one; half of it by chance. */
  backOffMs: 250,
  backOffMaxMs: 10_000,
  /** A relay that said it does not know us (another run, another secret) is not asked again for so long. */
  refusedBackOffMs: 30_000,
  /** A dialled link without channels. */
  idleMs: 300_000,
  /** A connection that has not become a link, or whose request is not answered. */
  silentMs: 5_000,
  helloTimeoutMs: 3_000,
  /** When this relay stops, its peers have so long to take the last words. */
  closeMs: 500,
  /** Peers are few and their failure is everybody's: a dead one is noticed within 7 s. */
  pingAfterMs: 2_000,
  pongWithinMs: 4_000,
  /** The answer of another relay to `/stats`. */
  statsBytes: 16 * 1024,
  statsMs: 2_000,
  /** The same to `/channels`: a thousand of them, at a few hundred bytes each. */
  channelsBytes: 1024 * 1024,
});

export type PeerLimits = { readonly [Name in keyof typeof PEER_LIMITS]: number };
